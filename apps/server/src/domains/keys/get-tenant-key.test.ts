import type { TenantId } from '@sotto/protocol'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { databaseKinds, openTestDatabase } from '../../../../../packages/testkit/src/databases.ts'
import { createLocalKeyring } from '../../adapters/keyring-local/local-keyring.ts'
import { createSealer } from '../../platform/crypto/seal.ts'
import { createIds, systemRandom } from '../../platform/ids/ids.ts'
import { systemClock as clock } from '../../platform/time/clock.ts'
import { createTenantKeys } from './create-tenant-keys.ts'
import { checkReadable, getAuditBucketKey, getTenantKey } from './get-tenant-key.ts'
import { createKeyCache, NOT_FRESH_MS } from './key-cache.ts'
import { NO_BUCKET } from './key.model.ts'
import { readKeys } from './read-keys.ts'

const random = systemRandom
const ids = createIds(clock, random)

describe.each(databaseKinds)('on %s', (kind) => {
  test('a key is read by a transaction of its own, or in the one that made it, where it is not kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sotto-keys-'))
    const keyring = await createLocalKeyring({
      folder: join(folder, 'keyring'),
      dataDir: join(folder, 'data'),
      random,
      clock,
    })
    const deps = { keyring, sealer: createSealer({ random, clock }), cache: createKeyCache(clock), random, clock }
    await using database = await openTestDatabase(kind)
    const tenantId = ids.next<TenantId>()
    const scope = { role: 'app', tenantId } as const

    const made = await database.db.withTx(scope, async (tx) => {
      await createTenantKeys(deps, tx, tenantId)
      expect((await readKeys(deps, tx, async () => 'a row')).freshUntilMs).toBe(NOT_FRESH_MS)
      return getTenantKey(deps, tx, tenantId)
    })
    const later = await getTenantKey(deps, (read) => database.db.withTx(scope, read), tenantId)
    expect(later.dataKey.key.equals(made.dataKey.key)).toBe(true)
    expect(later.freshUntilMs).toBeGreaterThan(NOT_FRESH_MS)
    const bucket = await getAuditBucketKey(deps, (read) => database.db.withTx(scope, read), tenantId, NO_BUCKET)
    expect(bucket.dataKey.epoch).toBe(1)
    rmSync(folder, { recursive: true, force: true })
  })
})

test('a key that is disabled or destroyed is not readable', () => {
  expect(checkReadable({ state: 'decrypt-only', wrapped: Buffer.from('wrapped') }).toString()).toBe('wrapped')
  expect(() => checkReadable({ state: 'disabled', wrapped: Buffer.from('wrapped') })).toThrow('can no longer be read')
  expect(() => checkReadable({ state: 'destroyed', wrapped: null })).toThrow('can no longer be read')
})
