import type { TenantId, UserId } from '@sotto/protocol'
import { anonymous, scopeOf, type Origin } from '../../platform/context/context.ts'
import type { Tx } from '../../platform/db/tx.ts'
import { newBearer } from './bearer.model.ts'
import { linkExpiresAt } from './create-sign-in-link.ts'
import type { CreatedTenant } from './create-tenant.ts'
import { findUserByLogin } from './credential-store.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { insertAdministratorLink } from './link-store.ts'
import { indexLogin } from './open-name.ts'
import { findTenantBySlug } from './tenant-store.ts'
import { listActiveAdministrators } from './user-store.ts'

export interface RenewLinkInput {
  readonly slug: string
  /** Which administrator; the only one when not given. */
  readonly login: string | undefined
}

/** Why there is no link: for the operator and for the trail. */
export type RenewalRefusal =
  | 'unknown-tenant'
  | 'unknown-login'
  | 'not-an-administrator'
  | 'user-inactive'
  | 'several-administrators'

export type Renewal = Omit<CreatedTenant, 'tenantId'> | { readonly refusal: RenewalRefusal }

type RenewDeps = Pick<IdentityDeps, 'db' | 'clock' | 'random' | 'limits' | 'keys' | 'audit'>

/**
 * A new one-time link for an administrator whose own was lost, or ran out, or who forgot the password while nobody else could
 * make one. For an operator at the command line: no route leads here, so there is nobody to authorise, and nobody but an
 * administrator gets a link this way.
 *
 * @effects sign_in_link (the administrator's earlier ones expire), audit `sign-in-link.create` by nobody, success or refused;
 *          of an unknown tenant in the trail of the deployment
 * @control 45 CFR 164.312(d)
 */
export async function renewAdministratorLink(deps: RenewDeps, origin: Origin, input: RenewLinkInput): Promise<Renewal> {
  const tenant = await deps.db.withTx({ role: 'lookup' }, (tx) => findTenantBySlug(tx, input.slug))
  const ctx = anonymous(origin, tenant?.tenant_id)
  const refuse = async (refusal: RenewalRefusal, userId?: UserId): Promise<Renewal> => {
    const resource = userId === undefined ? {} : { resource: { type: 'user', id: userId } }
    await deps.audit.recordRefusal(ctx, { action: 'sign-in-link.create', code: refusal, ...resource })
    return { refusal }
  }
  if (tenant === undefined) return refuse('unknown-tenant')
  const { tenantId } = ctx
  const link = newBearer(deps.random, tenantId)
  const at = deps.clock.now()
  const expiresAt = linkExpiresAt(at, deps.limits)
  const found = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const chosen = await chooseAdministrator(deps, tx, tenantId, input.login)
    if ('refusal' in chosen) return chosen
    const { userId } = chosen
    await insertAdministratorLink(tx, { tenantId, userId, tokenHash: link.hash, at, expiresAt })
    const resource = { type: 'user', id: userId }
    await deps.audit.record(tx, ctx, { action: 'sign-in-link.create', resource, details: { operator: true } })
    return chosen
  })
  if ('refusal' in found) return refuse(found.refusal, found.userId)
  return { administratorUserId: found.userId, signInLink: { token: link.token, expiresAt } }
}

type Chosen = { readonly userId: UserId } | { readonly refusal: RenewalRefusal; readonly userId?: UserId }

async function chooseAdministrator(
  deps: Pick<IdentityDeps, 'keys'>,
  tx: Tx,
  tenantId: TenantId,
  login: string | undefined,
): Promise<Chosen> {
  if (login === undefined) {
    const [first, ...others] = await listActiveAdministrators(tx, tenantId)
    // A tenant keeps an active administrator, so `first` is there.
    return first === undefined || others.length > 0 ? { refusal: 'several-administrators' } : { userId: first.user_id }
  }
  const user = await findUserByLogin(tx, tenantId, await indexLogin(deps, tx, tenantId, login))
  if (user === undefined) return { refusal: 'unknown-login' }
  const userId = user.user_id
  if (user.role !== 'administrator') return { refusal: 'not-an-administrator', userId }
  return user.active ? { userId } : { refusal: 'user-inactive', userId }
}
