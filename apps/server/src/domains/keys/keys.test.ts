import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds, openTestDatabase } from '../../../../../packages/testkit/src/databases.ts'
import type { TestDatabase } from '../../../../../packages/testkit/src/databases.ts'
import { createLocalKeyring, openLocalKeyring } from '../../adapters/keyring-local/local-keyring.ts'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import type { DataKey } from '../../platform/crypto/envelope.ts'
import { createSealer, sealedEpoch } from '../../platform/crypto/seal.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { createIds, systemRandom } from '../../platform/ids/ids.ts'
import { Problem } from '../../platform/problem/problem.ts'
import { instant, systemClock } from '../../platform/time/clock.ts'
import {
  createConversationKey,
  createKeyCache,
  createSubjectKey,
  createTenantKeys,
  destroySubjectKey,
  forgetTenantKeys,
  getAuditKey,
  getConversationDataKey,
  getDirectoryKey,
  getIndexKey,
  rotateConversationKey,
} from './index.ts'
import type { Keyring, KeysDeps } from './index.ts'
import { KEY_FRESH_MS_MAX } from './key-cache.ts'

const ids = createIds(systemClock, systemRandom)
const text = Buffer.from('Bob: it hurts when I laugh')

interface Process extends KeysDeps {
  readonly sealer: Sealer
  pass(ms: number): void
}

/** One process of the deployment: memory of its own, keyring and database shared with the others. */
function startProcess(keyring: Keyring): Process {
  let nowMs = 0
  const clock = { now: () => instant(Date.UTC(2026, 2, 1) + nowMs), monotonicMs: () => nowMs }
  const sealer = createSealer({ random: systemRandom, clock })
  return {
    keyring,
    sealer,
    cache: createKeyCache(clock),
    random: systemRandom,
    clock,
    pass: (ms) => void (nowMs += ms),
  }
}

describe.each(databaseKinds)('on %s', (kind) => {
  let folder: string
  let database: TestDatabase
  let keyring: Keyring
  let tenantId: TenantId
  let bob: UserId
  let conversationId: ConversationId
  let server: Process

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sotto-keys-'))
    database = await openTestDatabase(kind)
    keyring = await createLocalKeyring({ ...keyringOptions('keyring'), clock: systemClock })
  })
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  beforeEach(async () => {
    tenantId = ids.next<TenantId>()
    bob = ids.next<UserId>()
    conversationId = ids.next<ConversationId>()
    server = startProcess(keyring)
    await inTenant((tx) => createTenantKeys(server, tx, tenantId))
    await createSubjectKey(server, { tenantId, subjectUserId: bob })
  })

  const keyringOptions = (name: string) => ({
    folder: join(folder, name),
    dataDir: join(folder, 'data'),
    random: systemRandom,
  })
  const inTenant = <T>(fn: (tx: Tx) => Promise<T>, of = tenantId) =>
    database.db.withTx({ role: 'app', tenantId: of }, fn)
  const neverRead = () => Promise.reject(new Error('The database was asked'))
  const anotherProcess = () => startProcess(openLocalKeyring(keyringOptions('keyring')))
  const seal = (dataKey: DataKey, of = server) => of.sealer.seal(dataKey, [dataKey.id], text)
  const open = (dataKey: DataKey, sealed: Buffer, of = server) => of.sealer.open(dataKey, [dataKey.id], sealed)
  const unreadable = (work: Promise<unknown>) => expect(work).rejects.toSatisfy(isUnreadable)
  const isUnreadable = (error: unknown) => error instanceof Problem && error.code === 'keys/unreadable'

  test('every key is the same in every process, and each is another one', async () => {
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId, subjectUserId: bob }))
    const readAll = async (of: Process) => {
      const withEpoch = { tenantId, conversationId, epoch: 1 }
      const dataKeys = [
        await getConversationDataKey(of, inTenant, withEpoch),
        await getDirectoryKey(of, inTenant, { tenantId }),
        await getDirectoryKey(of, inTenant, { tenantId, subjectUserId: bob }),
        await getAuditKey(of, inTenant, { tenantId }),
        await getAuditKey(of, inTenant, { tenantId, subjectUserId: bob }),
      ]
      const purposes = ['login', 'audit-actor', 'audit-subject', 'audit-resource', 'idempotency'] as const
      const indexKeys = await Promise.all(purposes.map((purpose) => getIndexKey(of, inTenant, tenantId, purpose)))
      return { dataKeys, keys: [...dataKeys.map(({ key }) => key), ...indexKeys] }
    }
    const [mine, theirs] = [await readAll(server), await readAll(anotherProcess())]
    expect(mine.keys.every((key, index) => key.equals(theirs.keys[index]!))).toBe(true)
    expect(new Set(mine.keys.map((key) => key.export().toString('hex'))).size).toBe(10)
    expect(new Set(mine.dataKeys.map(({ id }) => id)).size).toBe(5)
    for (const { id } of mine.dataKeys) expect(id.startsWith(`tenant/${tenantId}/`)).toBe(true)
  })

  test('a warm process asks neither database nor keyring', async () => {
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId, subjectUserId: bob }))
    const counted = countingKeyring(keyring)
    const warm = startProcess(counted.keyring)
    const readAll = async (access: typeof inTenant) => {
      await getConversationDataKey(warm, access, { tenantId, conversationId, epoch: 1 })
      await getDirectoryKey(warm, access, { tenantId })
      await getDirectoryKey(warm, access, { tenantId, subjectUserId: bob, epoch: 1 })
      await getAuditKey(warm, access, { tenantId })
      await getAuditKey(warm, access, { tenantId, subjectUserId: bob })
      await getIndexKey(warm, access, tenantId, 'audit-actor')
    }
    await readAll(inTenant)
    const asked = counted.count()
    expect(asked).toBeGreaterThan(0)
    await readAll(neverRead)
    expect(counted.count()).toBe(asked)
    forgetTenantKeys(warm, tenantId)
    await expect(getAuditKey(warm, neverRead, { tenantId })).rejects.toThrow('The database was asked')
  })

  test('rotation seals with a new key and keeps the old entries readable, in every process', async () => {
    const first = await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId }))
    const old = seal(first)
    const second = await inTenant((tx) => rotateConversationKey(server, tx, { tenantId, conversationId }))
    expect([first.epoch, second.epoch]).toEqual([1, 2])
    expect(second.key.equals(first.key)).toBe(false)
    const fresh = seal(second)
    const reader = anotherProcess()
    for (const sealed of [old, fresh]) {
      const epoch = sealedEpoch(sealed)
      const dataKey = await getConversationDataKey(reader, inTenant, { tenantId, conversationId, epoch })
      expect(open(dataKey, sealed, reader)).toEqual(text)
    }
    const third = await inTenant((tx) => rotateConversationKey(reader, tx, { tenantId, conversationId }))
    expect(third.epoch).toBe(3)
    const rows = await database.ownerQuery(
      `select epoch, state from sotto.conversation_key where conversation_id = '${conversationId}' order by epoch`,
    )
    expect(rows.map(({ epoch, state }) => [epoch, state])).toEqual([
      [1, 'decrypt-only'],
      [2, 'decrypt-only'],
      [3, 'primary'],
    ])
  })

  test('two rotations at once never give one epoch twice', async () => {
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId }))
    const rotate = (of: Process) => inTenant((tx) => rotateConversationKey(of, tx, { tenantId, conversationId }))
    // Callers hold the lock on the conversation. Without it, whoever waited for the other fails as a whole.
    const both = await Promise.allSettled([rotate(server), rotate(anotherProcess())])
    const epochs = both.flatMap((result) => (result.status === 'fulfilled' ? [result.value.epoch] : []))
    expect([[2], [2, 3], [3, 2]]).toContainEqual(epochs)
  })

  test('a key that was rolled back is never kept: what stands in the database is what is used', async () => {
    const input = { tenantId, conversationId }
    const undone = inTenant(async (tx) => {
      const dataKey = await createConversationKey(server, tx, input)
      const read = await getConversationDataKey(server, tx, { ...input, epoch: 1 })
      expect(read.key.equals(dataKey.key)).toBe(true)
      throw new Error('The act failed')
    })
    await expect(undone).rejects.toThrow('The act failed')
    const stands = await inTenant((tx) => createConversationKey(anotherProcess(), tx, input))
    const read = await getConversationDataKey(server, inTenant, { ...input, epoch: 1 })
    expect(read.key.equals(stands.key)).toBe(true)
  })

  test('the keys of a tenant whose birth was rolled back are never kept', async () => {
    const newborn = ids.next<TenantId>()
    const birth = (fails: boolean) =>
      inTenant(async (tx) => {
        await createTenantKeys(server, tx, newborn)
        await getDirectoryKey(server, tx, { tenantId: newborn })
        await getAuditKey(server, tx, { tenantId: newborn })
        if (fails) throw new Error('The act failed')
      }, newborn)
    await expect(birth(true)).rejects.toThrow('The act failed')
    await birth(false)
    const inNewborn = <T>(fn: (tx: Tx) => Promise<T>) => inTenant(fn, newborn)
    const mine = await getAuditKey(server, inNewborn, { tenantId: newborn })
    const theirs = await getAuditKey(anotherProcess(), inNewborn, { tenantId: newborn })
    expect(mine.key.equals(theirs.key)).toBe(true)
  })

  describe('destroying the key of Bob the patient', () => {
    test('makes his conversation, names and audit bodies unreadable, while all others still open', async () => {
      const carol = ids.next<UserId>()
      await createSubjectKey(server, { tenantId, subjectUserId: carol })
      const [aboutCarol, aboutNobody] = [ids.next<ConversationId>(), ids.next<ConversationId>()]
      const create = (conversation: ConversationId, subjectUserId: UserId | null) =>
        inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId: conversation, subjectUserId }))
      await create(conversationId, bob)
      await create(aboutCarol, carol)
      await create(aboutNobody, null)
      const bobs = (of: Process) => [
        () => getConversationDataKey(of, inTenant, { tenantId, conversationId, epoch: 1 }),
        () => getDirectoryKey(of, inTenant, { tenantId, subjectUserId: bob }),
        () => getAuditKey(of, inTenant, { tenantId, subjectUserId: bob }),
      ]
      const others = (of: Process) => [
        () => getConversationDataKey(of, inTenant, { tenantId, conversationId: aboutCarol, epoch: 1 }),
        () => getConversationDataKey(of, inTenant, { tenantId, conversationId: aboutNobody, epoch: 1 }),
        () => getDirectoryKey(of, inTenant, { tenantId, subjectUserId: carol }),
        () => getDirectoryKey(of, inTenant, { tenantId }),
        () => getAuditKey(of, inTenant, { tenantId, subjectUserId: carol }),
        () => getAuditKey(of, inTenant, { tenantId }),
      ]
      const sealed = await Promise.all(others(server).map(async (get) => seal(await get())))
      const slow = anotherProcess()
      for (const get of [...bobs(server), ...bobs(slow)]) expect(open(await get(), seal(await get()))).toEqual(text)

      await destroySubjectKey(server, { tenantId, subjectUserId: bob })

      for (const of of [server, anotherProcess()]) {
        for (const get of bobs(of)) await unreadable(get())
        for (const [index, get] of others(of).entries()) expect(open(await get(), sealed[index]!, of)).toEqual(text)
      }
      // A process that heard nothing stops when its keys age.
      slow.pass(KEY_FRESH_MS_MAX)
      for (const get of bobs(slow)) await unreadable(get())
    })

    test('is for ever: neither his key nor a conversation about him is made anew', async () => {
      await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId, subjectUserId: bob }))
      await destroySubjectKey(server, { tenantId, subjectUserId: bob })
      await unreadable(createSubjectKey(server, { tenantId, subjectUserId: bob }))
      const another = { tenantId, conversationId: ids.next<ConversationId>(), subjectUserId: bob }
      await unreadable(inTenant((tx) => createConversationKey(server, tx, another)))
      await unreadable(inTenant((tx) => rotateConversationKey(server, tx, { tenantId, conversationId })))
    })
  })

  test('the keyring of another deployment unwraps nothing', async () => {
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId }))
    const options = { ...keyringOptions(`foreign-${tenantId}`), clock: systemClock }
    const foreign = startProcess(await createLocalKeyring(options))
    const attempts = [
      () => getConversationDataKey(foreign, inTenant, { tenantId, conversationId, epoch: 1 }),
      () => getDirectoryKey(foreign, inTenant, { tenantId }),
      () => getIndexKey(foreign, inTenant, tenantId, 'login'),
      () => getAuditKey(foreign, inTenant, { tenantId }),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toThrow(SealBroken)
  })

  test('a wrapped key that Mallory moved to another conversation or bucket does not unwrap', async () => {
    const mallorys = ids.next<ConversationId>()
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId }))
    await inTenant((tx) => createConversationKey(server, tx, { tenantId, conversationId: mallorys }))
    await database.ownerQuery(
      `update sotto.conversation_key set wrapped_key_encrypted =
         (select wrapped_key_encrypted from sotto.conversation_key where conversation_id = '${conversationId}')
       where conversation_id = '${mallorys}'`,
    )
    await database.ownerQuery(
      `update sotto.audit_key set wrapped_key_encrypted =
         (select wrapped_key_encrypted from sotto.audit_key where tenant_id = '${tenantId}' and bucket = 0)
       where tenant_id = '${tenantId}' and bucket = -1`,
    )
    const moved = getConversationDataKey(server, inTenant, { tenantId, conversationId: mallorys, epoch: 1 })
    await expect(moved).rejects.toThrow(SealBroken)
    await expect(getAuditKey(server, inTenant, { tenantId })).rejects.toThrow(SealBroken)
  })

  test('a disabled key is refused until it is enabled again, a destroyed one for ever', async () => {
    const input = { tenantId, conversationId, epoch: 1 }
    await inTenant((tx) => createConversationKey(server, tx, input))
    const setState = (state: string, wrapped = 'wrapped_key_encrypted') =>
      database.ownerQuery(
        `update sotto.conversation_key set state = '${state}', wrapped_key_encrypted = ${wrapped}
         where conversation_id = '${conversationId}'`,
      )
    await setState('disabled')
    await unreadable(getConversationDataKey(anotherProcess(), inTenant, input))
    await setState('decrypt-only')
    expect((await getConversationDataKey(anotherProcess(), inTenant, input)).epoch).toBe(1)
    await expect(setState('destroyed')).rejects.toThrow(/destroyed_check/)
    await setState('destroyed', 'null')
    await unreadable(getConversationDataKey(anotherProcess(), inTenant, input))
  })

  test('after the tenant key has a new version, names say which one opens them and indexes stay', async () => {
    const name = await getDirectoryKey(server, inTenant, { tenantId, subjectUserId: bob })
    const index = await getIndexKey(server, inTenant, tenantId, 'login')
    const sealed = seal(name)
    const key = (await getIndexKey(server, inTenant, tenantId, 'idempotency')) as DataKey['key']
    const wrapped = await keyring.wrap(['tenant-key', tenantId, '2'], key)
    await database.ownerQuery(`update sotto.tenant_key set state = 'decrypt-only' where tenant_id = '${tenantId}'`)
    await database.ownerQuery(
      `insert into sotto.tenant_key values ('${tenantId}', 2, '\\x${Buffer.from(wrapped).toString('hex')}', 'primary', now())`,
    )
    const later = anotherProcess()
    const fresh = await getDirectoryKey(later, inTenant, { tenantId, subjectUserId: bob })
    expect([fresh.epoch, fresh.key.equals(name.key)]).toEqual([2, false])
    const old = await getDirectoryKey(later, inTenant, { tenantId, subjectUserId: bob, epoch: sealedEpoch(sealed) })
    expect(open(old, sealed, later)).toEqual(text)
    expect((await getIndexKey(later, inTenant, tenantId, 'login')).equals(index)).toBe(true)
    const made = await inTenant((tx) => createConversationKey(later, tx, { tenantId, conversationId }))
    const read = await getConversationDataKey(anotherProcess(), inTenant, { tenantId, conversationId, epoch: 1 })
    expect(read.key.equals(made.key)).toBe(true)
  })

  describe('the database', () => {
    test('shows a tenant its own keys only', async () => {
      const other = ids.next<TenantId>()
      await inTenant((tx) => createTenantKeys(server, tx, other), other)
      for (const table of ['tenant_key', 'audit_key', 'conversation_key']) {
        const rows = await inTenant((tx) =>
          tx.rows<{ tenant_id: string }>({ name: `test.${table}`, text: `select distinct tenant_id from ${table}` }),
        )
        expect(rows.map((row) => row.tenant_id)).toEqual(table === 'conversation_key' ? [] : [tenantId])
      }
      await expect(inTenant((tx) => createTenantKeys(server, tx, ids.next<TenantId>()))).rejects.toThrow()
    })

    test.each([
      ['overwrites a wrapped key', 'update tenant_key set wrapped_key_encrypted = null'],
      ['overwrites a wrapped key', "update conversation_key set wrapped_key_encrypted = '\\x00'"],
      ['overwrites a wrapped key', "update audit_key set wrapped_key_encrypted = '\\x00'"],
      ['deletes a key', 'delete from tenant_key'],
      ['deletes a key', 'delete from conversation_key'],
      ['deletes a key', 'delete from audit_key'],
      ['deletes a key', 'truncate audit_key'],
      ['marks as destroyed what still stands', "update tenant_key set state = 'destroyed'"],
    ])('lets no statement of the app pass that %s', async (_, sql) => {
      await expect(inTenant((tx) => tx.run({ name: 'test.forbidden', text: sql }))).rejects.toThrow()
      const [row] = await database.ownerQuery(
        `select count(*)::int as n from sotto.tenant_key
         where tenant_id = '${tenantId}' and state = 'primary' and wrapped_key_encrypted is not null`,
      )
      expect(row).toEqual({ n: 1 })
    })

    test('holds no key in the clear', async () => {
      const made = await inTenant((tx) =>
        createConversationKey(server, tx, { tenantId, conversationId, subjectUserId: bob }),
      )
      const keys = [made, await getAuditKey(server, inTenant, { tenantId })].map(({ key }) => key.export())
      const subjectKey = (await keyring.findSubjectKey(tenantId, bob))!.export()
      const rows = await database.ownerQuery(
        `select encode(wrapped_key_encrypted, 'hex') as wrapped from sotto.tenant_key
         union all select encode(wrapped_key_encrypted, 'hex') from sotto.conversation_key
         union all select encode(wrapped_key_encrypted, 'hex') from sotto.audit_key`,
      )
      expect(rows.length).toBeGreaterThan(257)
      for (const key of [...keys, subjectKey]) {
        expect(rows.some((row) => String(row['wrapped']).includes(key.toString('hex')))).toBe(false)
      }
    })
  })
})

function countingKeyring(keyring: Keyring): { readonly keyring: Keyring; readonly count: () => number } {
  let calls = 0
  const counting: Keyring = {
    ...keyring,
    unwrap: (context, wrapped) => (calls++, keyring.unwrap(context, wrapped)),
    findSubjectKey: (tenantId, subjectUserId) => (calls++, keyring.findSubjectKey(tenantId, subjectUserId)),
  }
  return { keyring: counting, count: () => calls }
}
