/**
 * Sealing of data under a data key, fast enough for every message.
 *
 * Deriving a key per message costs more than encrypting it, so one derivation serves many messages: a *sealing context* is a
 * random salt with the key and commitment derived from it (`envelope.ts`), used for at most 2^16 messages or one hour.
 *
 * Why this is safe:
 * - **Nonces never repeat under a key.** The nonce is a counter; it is taken before it is used and never given back, even when
 *   encryption throws. A context lives in the memory of one process and is never stored, so a restart, another process and
 *   another worker each begin with a salt of their own. Two salts of 256 random bits coincide with a chance of 2^-128 after
 *   2^64 contexts; an eviction from the bounded table only begins a new context.
 * - **GCM's bounds are far away.** 2^16 messages per derived key stand against 2^32 allowed by SP 800-38D §8.3 for random nonces,
 *   and with a counter that limit does not even apply; what one derived key has protected stays small.
 * - **The data key itself encrypts nothing.** It is only ever the input of HKDF, with a random salt, so there is no limit on the
 *   number of messages of a data key that matters here.
 * - **Keys are committed to** before anything is decrypted, and everything in front of the ciphertext is authenticated.
 *
 * What it does not survive: a virtual machine that is snapshotted with its memory and resumed twice continues the same
 * counter twice. Restart the process after resuming a snapshot.
 */

import assert from 'node:assert/strict'
import type { KeyObject } from 'node:crypto'
import type { Random } from '../ids/ids.ts'
import type { Clock } from '../time/clock.ts'
import { createBoundedMap } from './bounded-map.ts'
import type { BoundedMap } from './bounded-map.ts'
import type { Part } from './encoding.ts'
import {
  deriveSealingKeys,
  encodeHeader,
  openEnvelope,
  parseEnvelope,
  SALT_BYTES,
  SealBroken,
  sealEnvelope,
} from './envelope.ts'
import type { DataKey, DerivedKeys } from './envelope.ts'

export const SEALS_PER_CONTEXT_MAX = 2 ** 16
export const CONTEXT_AGE_MS_MAX = 60 * 60 * 1000

/** How many contexts a process keeps for sealing, and how many derived keys for opening. A miss costs one HKDF. */
export const CONTEXTS_MAX = 8192

export interface Sealer {
  /**
   * @param context  what the plaintext is and where it belongs (tenant, conversation, entry, version, …): not stored, and
   *                 the same list is needed to open
   * @returns the sealed form of `envelope.ts`, `SEAL_OVERHEAD_BYTES` longer than the plaintext
   */
  seal(dataKey: DataKey, context: readonly Part[], plaintext: Uint8Array): Buffer
  /** @throws SealBroken when key, context or bytes are not those of sealing */
  open(dataKey: DataKey, context: readonly Part[], sealed: Uint8Array): Buffer
  /** Drops everything derived from data keys whose id begins like this: a destroyed key must not live on in memory. */
  forget(idPrefix: string): void
}

interface SealingContext {
  readonly dataKey: DataKey
  readonly key: KeyObject
  readonly header: Buffer
  readonly expiresAtMs: number
  used: number
}

interface OpeningKeys extends DerivedKeys {
  readonly dataKey: DataKey
}

/** One per process; its state is memory only. */
export function createSealer(deps: {
  readonly random: Random
  readonly clock: Clock
  readonly contextsMax?: number
}): Sealer {
  const sealing = createBoundedMap<SealingContext>(deps.contextsMax ?? CONTEXTS_MAX)
  const opening = createBoundedMap<OpeningKeys>(deps.contextsMax ?? CONTEXTS_MAX)
  return {
    seal(dataKey, context, plaintext) {
      const current = currentContext(sealing, deps, dataKey)
      const counter = current.used++
      assert(counter < SEALS_PER_CONTEXT_MAX, 'A sealing context is never used beyond its limit')
      return sealEnvelope(current.key, current.header, counter, context, plaintext)
    },
    open(dataKey, context, sealed) {
      const envelope = parseEnvelope(sealed)
      if (envelope.epoch !== dataKey.epoch) throw new SealBroken()
      const salt = envelope.salt.toString('latin1')
      const known = opening.get(salt)
      if (known && isSameKey(known.dataKey, dataKey)) return openEnvelope(known, envelope, context)
      const derived = deriveSealingKeys('seal', dataKey, envelope.salt)
      const plaintext = openEnvelope(derived, envelope, context)
      // Only what has opened is kept: forgeries must not push out what is in use.
      opening.set(salt, { ...derived, dataKey })
      return plaintext
    },
    forget(idPrefix) {
      const isMeant = (entry: { readonly dataKey: DataKey }) => entry.dataKey.id.startsWith(idPrefix)
      sealing.deleteWhere(isMeant)
      opening.deleteWhere(isMeant)
    },
  }
}

/** @throws SealBroken when it is nothing sealed @returns the epoch of the data key to open it with, unverified until it opens */
export function sealedEpoch(sealed: Uint8Array): number {
  return parseEnvelope(sealed).epoch
}

function currentContext(
  sealing: BoundedMap<SealingContext>,
  deps: { readonly random: Random; readonly clock: Clock },
  dataKey: DataKey,
): SealingContext {
  const nowMs = deps.clock.monotonicMs()
  const known = sealing.get(dataKey.id)
  if (known && known.used < SEALS_PER_CONTEXT_MAX && nowMs < known.expiresAtMs && isSameKey(known.dataKey, dataKey)) {
    return known
  }
  const salt = deps.random.bytes(SALT_BYTES)
  const { key, commitment } = deriveSealingKeys('seal', dataKey, salt)
  const fresh: SealingContext = {
    dataKey,
    key,
    header: encodeHeader(dataKey.epoch, salt, commitment),
    expiresAtMs: nowMs + CONTEXT_AGE_MS_MAX,
    used: 0,
  }
  sealing.set(dataKey.id, fresh)
  return fresh
}

function isSameKey(a: DataKey, b: DataKey): boolean {
  return a.id === b.id && a.epoch === b.epoch && (a.key === b.key || a.key.equals(b.key))
}
