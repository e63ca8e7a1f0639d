import type { DeviceId, Purpose, Role, SessionId, TenantId, UserId } from '@sotto/protocol'

/** Where a request came from, before anyone knows who sent it. */
export interface Origin {
  readonly requestId: string
  /** The peer's network address as text; behind a trusted proxy, the client's. */
  readonly address: string | null
}

/** Who asks, for what purpose, from where. Every operation takes it first; every audit event is made from it. */
export interface Ctx extends Origin {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly deviceId: DeviceId
  readonly sessionId: SessionId
  readonly role: Role
  readonly purpose: Purpose
}

/** An act before its user is known, or of the system itself: recorded under the tenant when that is known. */
export interface AnonymousCtx extends Origin {
  readonly tenantId: TenantId
  readonly userId: null
  readonly deviceId: null
  readonly sessionId: null
  readonly role: null
  readonly purpose: Purpose
}

/** The tenant of what happens before any tenant is known: refused sign-ins, starts and stops of the server. */
export const SYSTEM_TENANT_ID = '00000000-0000-7000-8000-000000000000' as TenantId

export function anonymous(
  origin: Origin,
  tenantId: TenantId = SYSTEM_TENANT_ID,
  purpose: Purpose = 'HSYSADMIN',
): AnonymousCtx {
  const { requestId, address } = origin
  return { requestId, address, tenantId, userId: null, deviceId: null, sessionId: null, role: null, purpose }
}

/** The transaction scope of a request: its tenant, under the role `app`. */
export function scopeOf(ctx: { readonly tenantId: TenantId }): { readonly role: 'app'; readonly tenantId: TenantId } {
  return { role: 'app', tenantId: ctx.tenantId }
}

/** Why a role asks when the request does not say (HL7 v3 PurposeOfUse). */
export const purposeOfRole: Readonly<Record<Role, Purpose>> = {
  administrator: 'HSYSADMIN',
  'compliance-officer': 'HCOMPL',
  clinician: 'TREAT',
  patient: 'PATRQT',
  service: 'HOPERAT',
}
