/**
 * From an audit event to the leaf of a tenant's transparency log.
 *
 * ```
 * commit   = HMAC-SHA-256(salt, "hcal/1\0" || JCS(event))      hiding and binding
 * leaf     = JCS({ v: 1, c: base64url(commit), k: event class, d: UTC day })
 * leafHash = SHA-256(0x00 || leaf)                              RFC 6962 §2.1
 * ```
 *
 * The leaf tells nothing about whom an event is: erasing the event with its salt leaves the log and all of its proofs valid.
 * Without the salt the few possible values of (actor, patient, action) could be tried one by one; so salts are random, one per
 * event, and never made from ids.
 *
 * Pure, and at home in a browser: hash functions are parameters. Where only asynchronous ones exist (WebCrypto), feed them with
 * `commitmentInput` and `leafHashInput`.
 */

import { canonicalBytes } from './jcs.ts'
import type { CanonicalValue } from './jcs.ts'

export type HmacSha256 = (key: Uint8Array, data: Uint8Array) => Uint8Array
export type Sha256 = (data: Uint8Array) => Uint8Array

export const AUDIT_SALT_BYTES = 32
const COMMITMENT_BYTES = 32

const utf8 = new TextEncoder()
const COMMITMENT_LABEL = utf8.encode('hcal/1\0')
/** Sets leaves apart from inner nodes, which begin with 0x01. */
const LEAF_PREFIX = Uint8Array.of(0)

/** What is put under the HMAC. */
export function commitmentInput(event: CanonicalValue): Uint8Array {
  return join(COMMITMENT_LABEL, canonicalBytes(event))
}

/**
 * @param salt  32 random bytes, kept beside the encrypted event and erased with it
 * @returns 32 bytes
 */
export function commitEvent(hmacSha256: HmacSha256, salt: Uint8Array, event: CanonicalValue): Uint8Array {
  return commitCanonicalEvent(hmacSha256, salt, canonicalBytes(event))
}

/** @param canonical  `canonicalBytes` of the event, for who has them already */
export function commitCanonicalEvent(hmacSha256: HmacSha256, salt: Uint8Array, canonical: Uint8Array): Uint8Array {
  if (salt.length !== AUDIT_SALT_BYTES) throw new TypeError('The salt of a commitment has 32 bytes')
  return hmacSha256(salt, join(COMMITMENT_LABEL, canonical))
}

/** Whether `event` with its salt is what was committed to. Neither side is a secret, so the comparison may take its time. */
export function isCommitmentOf(
  hmacSha256: HmacSha256,
  salt: Uint8Array,
  event: CanonicalValue,
  commitment: Uint8Array,
): boolean {
  const expected = commitEvent(hmacSha256, salt, event)
  return expected.length === commitment.length && expected.every((byte, index) => byte === commitment[index])
}

/**
 * @param leaf.commitment  32 bytes of `commitEvent`
 * @param leaf.eventClass  coarse: what kind of act, never about whom
 * @param leaf.day         UTC, `YYYY-MM-DD`
 */
export function encodeLeaf(leaf: {
  readonly commitment: Uint8Array
  readonly eventClass: string
  readonly day: string
}): Uint8Array {
  if (leaf.commitment.length !== COMMITMENT_BYTES) throw new TypeError('A commitment has 32 bytes')
  if (!/^\d{4}-\d{2}-\d{2}$/.test(leaf.day)) throw new TypeError('A day is written YYYY-MM-DD')
  return canonicalBytes({ v: 1, c: base64url(leaf.commitment), k: leaf.eventClass, d: leaf.day })
}

/** What is put under SHA-256 to get the hash of a leaf. */
export function leafHashInput(leaf: Uint8Array): Uint8Array {
  return join(LEAF_PREFIX, leaf)
}

export function hashLeaf(sha256: Sha256, leaf: Uint8Array): Uint8Array {
  return sha256(leafHashInput(leaf))
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}

/** RFC 4648 §5 without padding. */
function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
