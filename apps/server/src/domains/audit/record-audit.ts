import assert from 'node:assert/strict'
import { createSecretKey, type KeyObject } from 'node:crypto'
import type { AuditEvent, TenantId, UserId } from '@sotto/protocol'
import { AUDIT_SALT_BYTES, commitCanonicalEvent } from '@sotto/transparency'
import type { AnonymousCtx, Ctx } from '../../platform/context/context.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import { hmacSha256, keyedHash } from '../../platform/crypto/primitives.ts'
import type { Tx } from '../../platform/db/tx.ts'
import type { Ids, Random } from '../../platform/ids/ids.ts'
import { Problem } from '../../platform/problem/problem.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { KeyAccess, SubjectRef } from '../keys/index.ts'
import { buildAuditEvent, type AuditItem, type AuditRecord } from './audit-event.model.ts'
import { insertAuditRows, type AuditRow } from './audit-store.ts'
import { canonicalEvent } from './canonical-event.ts'

export type AuditIndex = 'audit-actor' | 'audit-subject' | 'audit-resource'

/** What the trail needs of the tenant's keys. */
export interface AuditKeys {
  getAuditKey(access: KeyAccess, tenantId: TenantId, subjectUserId: UserId | null): Promise<DataKey>
  getIndexKey(access: KeyAccess, tenantId: TenantId, purpose: AuditIndex): Promise<KeyObject>
  hasSubjectKey(subject: SubjectRef): Promise<boolean>
}

export interface RecordDeps {
  readonly clock: Clock
  readonly random: Random
  readonly ids: Ids
  readonly sealer: Sealer
  readonly keys: AuditKeys
}

/**
 * Records acts in the transaction that does them: if this fails, the act fails.
 *
 * @throws whatever the transaction throws; the caller lets it pass
 * @effects audit_event, audit_body
 * @control 45 CFR 164.312(b)
 */
export async function recordAudit(
  deps: RecordDeps,
  tx: Tx,
  ctx: Ctx | AnonymousCtx,
  records: AuditRecord | readonly AuditRecord[],
): Promise<void> {
  const list: readonly AuditRecord[] = Array.isArray(records)
    ? (records as readonly AuditRecord[])
    : [records as AuditRecord]
  await recordAuditItems(
    deps,
    tx,
    ctx.tenantId,
    list.map((record) => ({ ctx, record })),
  )
}

/** The same for the acts of many actors of one tenant, in one statement (group commit). */
export async function recordAuditItems(
  deps: RecordDeps,
  tx: Tx,
  tenantId: TenantId,
  items: readonly AuditItem[],
): Promise<void> {
  if (items.length === 0) return
  const [actorKey, subjectKey, resourceKey] = await Promise.all([
    deps.keys.getIndexKey(tx, tenantId, 'audit-actor'),
    deps.keys.getIndexKey(tx, tenantId, 'audit-subject'),
    deps.keys.getIndexKey(tx, tenantId, 'audit-resource'),
  ])
  const at = deps.clock.now()
  const salts = Buffer.from(deps.random.bytes(AUDIT_SALT_BYTES * items.length))
  const bodyKeys = new Map<UserId | null, BodyKey>()
  const rows: AuditRow[] = []
  for (const [index, item] of items.entries()) {
    assert(item.ctx.tenantId === tenantId, 'An act is recorded in its own tenant')
    const subjectUserId = item.record.subjectUserId ?? null
    const bodyKey = bodyKeys.get(subjectUserId) ?? (await getBodyKey(deps, tx, tenantId, subjectUserId))
    bodyKeys.set(subjectUserId, bodyKey)
    const event = buildAuditEvent(deps.ids.at(at), at, item)
    const salt = salts.subarray(index * AUDIT_SALT_BYTES, (index + 1) * AUDIT_SALT_BYTES)
    rows.push({
      ...sealEvent(deps, tenantId, bodyKey.dataKey, salt, event),
      at,
      subjectUserId: bodyKey.ofSubject,
      actorIndex: event.actor.userId === null ? null : indexOf(actorKey, event.actor.userId),
      subjectIndex: subjectUserId === null ? null : indexOf(subjectKey, subjectUserId),
      resourceIndex: event.resource === null ? null : indexOf(resourceKey, event.resource.id),
    })
  }
  insertAuditRows(tx, tenantId, rows)
}

interface BodyKey {
  readonly dataKey: DataKey
  /** Whose key it takes to open the body; null: the tenant's alone. */
  readonly ofSubject: UserId | null
}

/**
 * What is done about a patient whose key was destroyed is sealed under the tenant's: acts go on after an erasure, are found by
 * the patient's id, and can be read. What was recorded before needs the destroyed key, as before. The same goes for whoever
 * never had a key: a search may be for anybody.
 *
 * @throws keys/unreadable 410, when a key that is not the patient's own is disabled or destroyed
 */
async function getBodyKey(
  deps: RecordDeps,
  tx: Tx,
  tenantId: TenantId,
  subjectUserId: UserId | null,
): Promise<BodyKey> {
  try {
    return { dataKey: await deps.keys.getAuditKey(tx, tenantId, subjectUserId), ofSubject: subjectUserId }
  } catch (error) {
    const mayBeErased = error instanceof Problem && error.code === 'keys/unreadable' && subjectUserId !== null
    if (!mayBeErased || (await deps.keys.hasSubjectKey({ tenantId, subjectUserId }))) throw error
    return { dataKey: await deps.keys.getAuditKey(tx, tenantId, null), ofSubject: null }
  }
}

/** The salt lies within the sealed body: erasing the body, or its key, leaves a commitment that nobody can try values on. */
function sealEvent(deps: RecordDeps, tenantId: TenantId, bodyKey: DataKey, salt: Buffer, event: AuditEvent) {
  const canonical = Buffer.from(canonicalEvent(event), 'utf8')
  return {
    auditEventId: event.auditEventId,
    class: event.action,
    outcome: event.outcome,
    commitment: Buffer.from(commitCanonicalEvent(hmacUnder, salt, canonical)),
    bodyEncrypted: deps.sealer.seal(
      bodyKey,
      auditContext(tenantId, event.auditEventId),
      Buffer.concat([salt, canonical]),
    ),
  }
}

/** Per index key: the same people and conversations are recorded over and over. They die with their key. */
const knownIndexes = new WeakMap<KeyObject, Map<string, Buffer>>()
const KNOWN_INDEXES_MAX = 4096

function indexOf(key: KeyObject, id: string): Buffer {
  let known = knownIndexes.get(key)
  if (known === undefined) knownIndexes.set(key, (known = new Map()))
  let index = known.get(id)
  if (index === undefined) {
    index = keyedHash(key, id)
    if (known.size >= KNOWN_INDEXES_MAX) known.clear()
    known.set(id, index)
  }
  return index
}

export function hmacUnder(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmacSha256(createSecretKey(key), data)
}

export function auditContext(tenantId: TenantId, auditEventId: string): readonly string[] {
  return ['audit-event', tenantId, auditEventId, '1']
}
