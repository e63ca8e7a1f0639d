import { tenantSlugSchema, type TenantId, type UserId } from '@sotto/protocol'
import { anonymous, scopeOf, type Origin } from '../../platform/context/context.ts'
import { isUniqueViolation } from '../../platform/db/errors.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { type Instant } from '../../platform/time/clock.ts'
import { newBearer } from './bearer.model.ts'
import { linkExpiresAt } from './create-sign-in-link.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { insertAdministratorLink } from './link-store.ts'
import { indexLogin, sealName } from './open-name.ts'
import { insertTenant, SLUG_KEY } from './tenant-store.ts'
import { insertFirstUser } from './user-store.ts'

export interface CreateTenantInput {
  /** Public: what people type to say where they belong. Never changed. */
  readonly slug: string
  readonly name: string
  readonly administrator: { readonly login: string; readonly displayName: string }
}

export interface CreatedTenant {
  readonly tenantId: TenantId
  readonly administratorUserId: UserId
  /** Good once: the administrator sets a password with it (`redeemSignInLink`). */
  readonly signInLink: { readonly token: Secret<string>; readonly expiresAt: Instant }
}

/**
 * Makes a tenant with its keys and its first administrator. For an operator at the command line: no route leads here, so
 * there is nobody to authorise.
 *
 * @throws identity/slug-taken 409
 * @effects tenant, tenant keys, app_user, sign_in_link, audit `tenant.create`, in one transaction
 * @control 45 CFR 164.312(a)(2)(i), 164.308(a)(4)(ii)(B)
 */
export async function createTenant(
  deps: Pick<IdentityDeps, 'db' | 'clock' | 'random' | 'ids' | 'limits' | 'keys' | 'sealer' | 'audit'>,
  origin: Origin,
  input: CreateTenantInput,
): Promise<CreatedTenant> {
  const slug = tenantSlugSchema.parse(input.slug)
  const tenantId = deps.ids.next<TenantId>()
  const userId = deps.ids.next<UserId>()
  const at = deps.clock.now()
  const link = newBearer(deps.random, tenantId)
  const expiresAt = linkExpiresAt(at, deps.limits)
  const { login, displayName } = input.administrator

  const makeTenant = deps.db.withTx(scopeOf({ tenantId }), async (tx) => {
    await deps.keys.createTenantKeys(tx, tenantId)
    const seal = (kind: 'tenant' | 'user' | 'login', id: string, name: string) =>
      sealName(deps, tx, { tenantId, kind, id, subjectUserId: null }, name)
    await insertTenant(tx, { tenantId, slug, nameEncrypted: await seal('tenant', tenantId, input.name), at })
    await insertFirstUser(tx, {
      tenantId,
      userId,
      loginIndex: await indexLogin(deps, tx, tenantId, login),
      loginEncrypted: await seal('login', userId, login),
      displayNameEncrypted: await seal('user', userId, displayName),
      role: 'administrator',
      at,
    })
    await insertAdministratorLink(tx, { tenantId, userId, tokenHash: link.hash, at, expiresAt })
    const resource = { type: 'tenant', id: tenantId }
    await deps.audit.record(tx, anonymous(origin, tenantId), {
      action: 'tenant.create',
      resource,
      details: { administratorUserId: userId },
    })
  })
  await makeTenant.catch((error: unknown) => {
    throw isUniqueViolation(error, SLUG_KEY) ? problem('identity/slug-taken') : error
  })
  return { tenantId, administratorUserId: userId, signInLink: { token: link.token, expiresAt } }
}
