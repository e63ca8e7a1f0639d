import type { TenantId } from '@sotto/protocol'
import { statement, type Tx } from '../../platform/db/tx.ts'
import { toRfc3339, type Instant } from '../../platform/time/clock.ts'

export interface StoredCounter {
  readonly key_hash: Buffer
  readonly failures: number
  readonly last_failed_at: Instant
}

// In the order of the keys: two attempts that share several counters never wait for each other in a circle.
const lock = statement<StoredCounter>(
  'identity.failure-lock',
  `insert into sign_in_failure (tenant_id, key_hash, failures, last_failed_at, created_at)
   select $1, key_hash, 0, $3, $3 from unnest($2::bytea[]) as key_hash order by key_hash
   on conflict (tenant_id, key_hash) do update set failures = sign_in_failure.failures
   returning key_hash, failures, last_failed_at`,
)

/** The counters, locked until the transaction ends; those that were not there are, with no failure. */
export async function lockCounters(
  tx: Tx,
  tenantId: TenantId,
  keyHashes: readonly Buffer[],
  now: Instant,
): Promise<readonly StoredCounter[]> {
  return tx.rows(lock, [tenantId, keyHashes, toRfc3339(now)])
}

const update = statement<never>(
  'identity.failure-update',
  `update sign_in_failure f set failures = item.failures, last_failed_at = item.last_failed_at
   from unnest($2::bytea[], $3::integer[], $4::timestamptz[]) as item (key_hash, failures, last_failed_at)
   where f.tenant_id = $1 and f.key_hash = item.key_hash`,
)

export async function updateCounters(tx: Tx, tenantId: TenantId, counters: readonly StoredCounter[]): Promise<void> {
  await tx.run(update, [
    tenantId,
    counters.map((counter) => counter.key_hash),
    counters.map((counter) => counter.failures),
    counters.map((counter) => toRfc3339(counter.last_failed_at)),
  ])
}

const takeBack = statement<never>(
  'identity.failure-take-back',
  `with item as (select * from unnest($2::bytea[], $3::integer[]) as t (key_hash, forgiven)),
   locked as (
     select f.key_hash from sign_in_failure f join item using (key_hash)
     where f.tenant_id = $1 order by f.key_hash for update of f
   )
   update sign_in_failure f set failures = greatest(0, f.failures - item.forgiven)
   from item join locked using (key_hash)
   where f.tenant_id = $1 and f.key_hash = item.key_hash`,
)

export async function forgiveFailures(
  tx: Tx,
  tenantId: TenantId,
  forgiven: readonly { readonly keyHash: Buffer; readonly failures: number }[],
): Promise<void> {
  await tx.run(takeBack, [tenantId, forgiven.map((each) => each.keyHash), forgiven.map((each) => each.failures)])
}
