import type { KeyObject } from 'node:crypto'
import type { DeviceId, TenantId } from '@sotto/protocol'
import { keyedHash } from '../../platform/crypto/primitives.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { addressGroup } from '../../platform/limits/address-group.ts'
import type { Instant } from '../../platform/time/clock.ts'
import { forgiveFailures, lockCounters, updateCounters, type StoredCounter } from './failure-store.ts'
import { countAttempt, forgivenBy, signInWaitMs, type CounterKind } from './throttle.model.ts'

/** Against what an attempt to sign in counts. */
export interface Attempt {
  readonly tenantId: TenantId
  readonly counters: readonly { readonly kind: CounterKind; readonly keyHash: Buffer }[]
}

/** @param key  of the index `login`; the parts of the hash keep the two uses apart */
export function describeAttempt(
  key: KeyObject,
  who: {
    readonly tenantId: TenantId
    readonly loginIndex: Buffer
    readonly address: string | null
    readonly provenDeviceId: DeviceId | undefined
  },
): Attempt {
  const { tenantId, loginIndex, provenDeviceId } = who
  const counter = (kind: CounterKind, ...parts: (string | Buffer)[]) => ({
    kind,
    keyHash: keyedHash(key, 'attempt', kind, ...parts),
  })
  if (provenDeviceId !== undefined) return { tenantId, counters: [counter('device', provenDeviceId)] }
  const address = addressGroup(who.address)
  const counters = [
    counter('login-address', loginIndex, address),
    counter('login', loginIndex),
    counter('address', address),
  ]
  return { tenantId, counters }
}

/**
 * Counts the attempt before anybody looks at the password, under lock: of a volley of parallel guesses no more are looked
 * at than of a slow row of them. An attempt that has to wait is not counted, so waiting never grows by trying.
 *
 * @returns milliseconds to wait; 0 when the attempt may be looked at
 */
export async function beginAttempt(tx: Tx, attempt: Attempt, now: Instant, delayMsMax: number): Promise<number> {
  const keyHashes = attempt.counters.map((counter) => counter.keyHash)
  const stored = await lockCounters(tx, attempt.tenantId, keyHashes, now)
  const counters = attempt.counters.map(({ kind, keyHash }) => ({ kind, ...valueOf(stored, keyHash, now) }))
  const waitMs = Math.max(...counters.map((counter) => signInWaitMs(counter.kind, counter, now, delayMsMax)))
  if (waitMs > 0) return waitMs
  const counted = counters.map((counter) => {
    const { failures, lastFailedAt } = countAttempt(counter.kind, counter, now)
    return { key_hash: counter.keyHash, failures, last_failed_at: lastFailedAt }
  })
  await updateCounters(tx, attempt.tenantId, counted)
  return 0
}

/** The attempt was right: it takes its count back. */
export async function forgiveAttempt(tx: Tx, attempt: Attempt): Promise<void> {
  const forgiven = attempt.counters.map(({ kind, keyHash }) => ({ keyHash, failures: forgivenBy(kind) }))
  await forgiveFailures(tx, attempt.tenantId, forgiven)
}

function valueOf(stored: readonly StoredCounter[], keyHash: Buffer, now: Instant) {
  const row = stored.find((each) => each.key_hash.equals(keyHash))
  return { keyHash, failures: row?.failures ?? 0, lastFailedAt: row?.last_failed_at ?? now }
}
