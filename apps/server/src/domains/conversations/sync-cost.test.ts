import type { ConversationId } from '@sotto/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { scopeOf } from '../../platform/context/context.ts'
import { statement } from '../../platform/db/tx.ts'
import { getHorizon, listChangedSummaries } from './conversation-store.ts'
import { openWard, type Clinic, type Ward } from './ward.testing.ts'

const CONVERSATIONS = 400
const OF_OTHERS = 8_000
const FIRST_ID = '00000000-0000-0000-0000-000000000000'

/** What this transaction has read so far, by table. */
const readRows = statement<{ name: string; rows: number }>(
  'test.read-rows',
  `select relname::text as name, (coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as rows from pg_stat_xact_user_tables
   where schemaname = 'sotto' and relname in ('member', 'conversation', 'entry')`,
)

describe.each(databaseKinds)('on %s: the cost of a sync', (kind) => {
  let ward: Ward
  let clinic: Clinic
  let changing: ConversationId

  beforeAll(async () => {
    ward = await openWard(kind)
    clinic = await ward.createClinic()
    const { conversationId } = await ward.begin(clinic.alice, [clinic.bob], { kind: 'direct' })
    changing = conversationId
    await ward.say(clinic.alice, changing, 'the only one')
    // As many more like it, each with as long a log, in a clinic where others have far more.
    const { alice, bob, grace, carmen } = clinic
    await ward.ownerQuery(`
      create temp table copied as select gen_random_uuid() as id from generate_series(1, ${CONVERSATIONS});
      create temp table foreign_one as select gen_random_uuid() as id from generate_series(1, ${OF_OTHERS});
      insert into sotto.conversation select (jsonb_populate_record(c, jsonb_build_object('conversation_id', id))).*
        from sotto.conversation c, foreign_one where conversation_id = '${changing}';
      insert into sotto.member select (jsonb_populate_record(m, jsonb_build_object('conversation_id', id, 'user_id',
          case user_id when '${alice.userId}' then '${grace.userId}'::uuid when '${bob.userId}' then '${carmen.userId}' end))).*
        from sotto.member m, foreign_one where conversation_id = '${changing}';
      insert into sotto.conversation select (jsonb_populate_record(c, jsonb_build_object('conversation_id', id))).*
        from sotto.conversation c, copied where conversation_id = '${changing}';
      insert into sotto.member select (jsonb_populate_record(m, jsonb_build_object('conversation_id', id))).*
        from sotto.member m, copied where conversation_id = '${changing}';
      insert into sotto.entry select (jsonb_populate_record(e, jsonb_build_object('conversation_id', id, 'entry_id', gen_random_uuid()))).*
        from sotto.entry e, copied where conversation_id = '${changing}';
      analyze sotto.conversation; analyze sotto.member; analyze sotto.entry`)
  })
  afterAll(async () => {
    await ward[Symbol.asyncDispose]()
  })

  /** What is answered, and how many rows of each table were read for it. */
  async function measure(since: number, limit: number) {
    const { alice } = clinic
    return ward.composition.db.withTx(scopeOf(alice.ctx), async (tx) => {
      const grant = await ward.composition.access.authorize(tx, alice.ctx, 'conversation.sync')
      const before = await tx.rows(readRows)
      const rows = await listChangedSummaries(tx, grant, { since, afterStamp: 0, afterId: FIRST_ID, limit })
      const after = await tx.rows(readRows)
      const read = Object.fromEntries(
        after.map(({ name, rows: count }) => [name, count - (before.find((one) => one.name === name)?.rows ?? 0)]),
      ) as Readonly<Record<'member' | 'conversation' | 'entry', number>>
      return { rows, read }
    })
  }

  test('of one change among many: one entry is read, and two rows of each membership to find out which it is', async () => {
    await ward.nothingOlderRuns()
    const { horizon } = await ward.composition.db.withTx(scopeOf(clinic.alice.ctx), getHorizon)
    await ward.say(clinic.bob, changing, 'and another')
    const { rows, read } = await measure(horizon, 100)
    expect(rows.map((row) => [row.conversation_id, row.seq, row.counterpart_user_id])).toEqual([
      [changing, 3, clinic.bob.userId],
    ])
    expect(read.entry).toBeLessThanOrEqual(1)
    expect(read.conversation).toBeLessThanOrEqual(CONVERSATIONS + 1 + 1)
    expect(read.member).toBeLessThanOrEqual(CONVERSATIONS + 1 + 3)
  })

  test('of a page: what is on it is read in full, and nothing of the pages after it', async () => {
    const { rows, read } = await measure(0, 20)
    expect(rows).toHaveLength(20)
    expect(read.entry).toBeLessThanOrEqual(20)
    expect(read.conversation).toBeLessThanOrEqual(CONVERSATIONS + 1 + 20)
    expect(read.member).toBeLessThanOrEqual(CONVERSATIONS + 1 + 3 * 20)
  })
})
