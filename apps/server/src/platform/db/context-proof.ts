/**
 * The proof that goes with a tenant's id into the database (`db/migrations/0001_ground.sql`). Without the key, which is
 * not in the database's reach of the app roles, no statement can name another tenant and be believed.
 */

import { createHmac, type KeyObject } from 'node:crypto'

/** Proves a subject: a tenant's id in lowercase, or `role:<job>` for a cross-tenant job. */
export type ContextProof = (subject: string) => string

/** Hexadecimal HMAC-SHA256 (RFC 2104). Proofs are remembered: a server speaks for few tenants, over and over. */
export function createContextProof(contextKey: KeyObject): ContextProof {
  const known = new Map<string, string>()
  return function prove(subject) {
    let proof = known.get(subject)
    if (proof === undefined) {
      if (known.size >= PROOFS_KEPT_MAX) known.clear()
      proof = createHmac('sha256', contextKey).update(subject, 'utf8').digest('hex')
      known.set(subject, proof)
    }
    return proof
  }
}

const PROOFS_KEPT_MAX = 10_000

const BLOCK_BYTES = 64

/** The two forms in which RFC 2104 §2 uses the key; this is what the database stores. */
export function hmacPads(contextKey: KeyObject): { readonly inner: Buffer; readonly outer: Buffer } {
  const key = contextKey.export()
  if (key.length > BLOCK_BYTES) throw new RangeError('The context key is longer than one block of SHA-256')
  const block = Buffer.alloc(BLOCK_BYTES)
  key.copy(block)
  return { inner: Buffer.from(block.map((byte) => byte ^ 0x36)), outer: Buffer.from(block.map((byte) => byte ^ 0x5c)) }
}
