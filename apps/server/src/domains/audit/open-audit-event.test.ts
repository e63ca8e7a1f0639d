import type { AuditEvent } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { openWard, type Clinic, type Ward } from '../conversations/ward.testing.ts'
import { findAuditRow, type StoredAuditEvent } from './audit-store.ts'
import { AuditEventBroken, openAuditEvent } from './open-audit-event.ts'
import { birthOf } from '../../platform/ids/ids.ts'

describe.each(databaseKinds)('on %s', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let events: readonly AuditEvent[]

  beforeAll(async () => {
    ward = await openWard(kind)
    clinic = await ward.createClinic()
    const { conversationId } = await ward.begin(clinic.alice, [clinic.bob])
    await ward.say(clinic.bob, conversationId, 'one')
    await ward.say(clinic.bob, conversationId, 'two')
    events = await ward.trail(clinic, { action: 'message.send' })
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  async function rowOf({ auditEventId }: AuditEvent): Promise<StoredAuditEvent> {
    const { tenantId } = clinic.alice.ctx
    const row = await ward.composition.db.withTx({ role: 'app', tenantId }, (tx) =>
      findAuditRow(tx, tenantId, birthOf(auditEventId), auditEventId),
    )
    return row!
  }

  async function open(row: StoredAuditEvent): Promise<AuditEvent> {
    const { tenantId } = clinic.alice.ctx
    const { sealer, keys, db } = ward.composition
    const key = await db.withTx({ role: 'app', tenantId }, (tx) => keys.getAuditKey(tx, tenantId, row.subject_user_id))
    return openAuditEvent(sealer, tenantId, key, row)
  }

  test('what was recorded opens', async () => {
    const row = await rowOf(events[0]!)
    expect(await open(row)).toEqual(events[0])
  })

  test('what was exchanged or changed, in body, commitment or row, does not', async () => {
    const [one, two] = [await rowOf(events[0]!), await rowOf(events[1]!)]
    const flip = (bytes: Buffer, at: number) =>
      Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)))
    const body = one.body_encrypted!
    const changes: readonly Partial<StoredAuditEvent>[] = [
      { body_encrypted: two.body_encrypted },
      { body_encrypted: two.body_encrypted, commitment: two.commitment },
      { commitment: two.commitment },
      { commitment: flip(one.commitment, 31) },
      { body_encrypted: flip(body, body.length - 1) },
      { body_encrypted: flip(body, 0) },
      { body_encrypted: body.subarray(0, 10) },
      { body_encrypted: Buffer.alloc(0) },
      { class: 'entry.list' },
      { outcome: 'refused' },
      { audit_event_id: two.audit_event_id },
    ]
    for (const change of changes) await expect(open({ ...one, ...change })).rejects.toThrow(AuditEventBroken)
  })
})
