import type { TenantId, UserId } from '@sotto/protocol'
import { keyedHash } from '../../platform/crypto/primitives.ts'
import { sealedEpoch } from '../../platform/crypto/seal.ts'
import type { Db } from '../../platform/db/tx.ts'
import { Phi } from '../../platform/phi/phi.ts'
import { Problem, type SealedKind } from '../../platform/problem/problem.ts'
import { noticeTampering, type KeyAccess } from '../keys/index.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { normalizeLogin } from './user.model.ts'

/** What a name is the name of. It is bound into the seal, so that a name cannot be moved to another row or column. */
export interface NameOf {
  readonly tenantId: TenantId
  readonly kind: 'user' | 'login' | 'device' | 'team' | 'tenant'
  readonly id: string
  /** The patient who is named, whose key the name dies with; null for staff, teams and tenants. */
  readonly subjectUserId: UserId | null
}

type NamesDeps = Pick<IdentityDeps, 'keys' | 'sealer'>

/** Shown in place of a name whose key was destroyed. */
export const ERASED_NAME = '—'

/** For names that are sealed or opened while no transaction is open: a keyring over the network then makes none wait. */
export function outsideTx(db: Db, tenantId: TenantId): KeyAccess {
  return (read) => db.withTx({ role: 'app', tenantId }, read)
}

/** @throws keys/unreadable 410 when the patient was erased */
export async function sealName(deps: NamesDeps, access: KeyAccess, of: NameOf, name: string): Promise<Buffer> {
  const { tenantId, subjectUserId } = of
  const dataKey = await deps.keys.getDirectoryKey(access, { tenantId, subjectUserId })
  return deps.sealer.seal(dataKey, contextOf(of), Buffer.from(name, 'utf8'))
}

/** @throws keys/tampered 500, when it is not the name that was sealed for this owner */
export async function openName(deps: NamesDeps, access: KeyAccess, of: NameOf, sealed: Buffer): Promise<Phi<string>> {
  const { tenantId, subjectUserId } = of
  try {
    return await noticeTampering({ kind: sealedKinds[of.kind], id: of.id }, async () => {
      const dataKey = await deps.keys.getDirectoryKey(access, { tenantId, subjectUserId, epoch: sealedEpoch(sealed) })
      return new Phi(deps.sealer.open(dataKey, contextOf(of), sealed).toString('utf8'))
    })
  } catch (error) {
    if (error instanceof Problem && error.code === 'keys/unreadable') return new Phi(ERASED_NAME)
    throw error
  }
}

const sealedKinds = {
  user: 'user-name',
  login: 'login-name',
  device: 'device-name',
  team: 'team-name',
  tenant: 'tenant-name',
} as const satisfies Record<NameOf['kind'], SealedKind>

function contextOf(of: NameOf): readonly string[] {
  return ['name', of.tenantId, of.kind, of.id, '1']
}

/** By what a user is found at sign-in: equal for every way to write the same name. */
export async function indexLogin(
  deps: Pick<IdentityDeps, 'keys'>,
  access: KeyAccess,
  tenantId: TenantId,
  login: string,
): Promise<Buffer> {
  return keyedHash(await deps.keys.getIndexKey(access, tenantId, 'login'), 'login', normalizeLogin(login))
}
