import { tenantIdSchema, type TenantId } from '@sotto/protocol'
import { hashToken, newToken } from '../../platform/crypto/tokens.ts'
import type { Random } from '../../platform/ids/ids.ts'
import { Secret } from '../../platform/phi/phi.ts'

/**
 * Refresh tokens, socket tickets, sign-in links and device secrets: 256 random bits behind the tenant they belong to.
 * The tenant is not believed, it only says behind whose wall to look; the hash of the whole decides.
 *
 * Form: 22 characters (the tenant's id, base64url) "." 43 characters (the random part, base64url).
 */
export interface Bearer {
  readonly token: Secret<string>
  readonly hash: Buffer
}

export function newBearer(random: Random, tenantId: TenantId): Bearer {
  const prefix = Buffer.from(tenantId.replaceAll('-', ''), 'hex').toString('base64url')
  const token = new Secret(`${prefix}.${newToken(random).reveal()}`)
  return { token, hash: hashToken(token) }
}

const form = /^([\w-]{22})\.[\w-]{43}$/

/** @returns undefined when it cannot be one of ours */
export function parseBearer(text: string): { readonly tenantId: TenantId; readonly hash: Buffer } | undefined {
  const prefix = form.exec(text)?.[1]
  if (prefix === undefined) return undefined
  const hex = Buffer.from(prefix, 'base64url').toString('hex')
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  const tenantId = tenantIdSchema.safeParse(id)
  if (!tenantId.success) return undefined
  return { tenantId: tenantId.data, hash: hashToken(new Secret(text)) }
}
