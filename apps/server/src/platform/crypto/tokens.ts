/** Bearer secrets: refresh tokens, socket tickets, one-time links. */

import { createHash } from 'node:crypto'
import type { Random } from '../ids/ids.ts'
import { Secret } from '../phi/phi.ts'

const TOKEN_BYTES = 32

/** @returns 256 random bits as 43 characters of base64url */
export function newToken(random: Random): Secret<string> {
  return new Secret(Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url'))
}

/**
 * What is stored of a token. A plain SHA-256 is enough, and a slow password hash would be waste: 256 random bits
 * cannot be guessed. Look a token up by this value; the database then compares hashes, never tokens.
 */
export function hashToken(token: Secret<string>): Buffer {
  return createHash('sha256').update(token.reveal(), 'utf8').digest()
}
