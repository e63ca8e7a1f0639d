import type { InputOf, Operations, ReplyOf } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import { listDevices as listStoredDevices } from './device-store.ts'
import { pageOfRows, readIdCursor } from './id-cursor.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { outsideTx } from './open-name.ts'
import { renderDevice } from './render-user.ts'

/**
 * The caller's devices, revoked ones too.
 *
 * @throws platform/invalid-input 400 (a page key that is not one)
 * @effects audit `device.list`
 */
export async function listDevices(
  deps: Pick<IdentityDeps, 'db' | 'access' | 'audit' | 'keys' | 'sealer'>,
  ctx: Ctx,
  input: InputOf<Operations['listDevices']>,
): Promise<ReplyOf<Operations['listDevices']>> {
  const { tenantId } = ctx
  const afterDeviceId = readIdCursor(input.after)
  const page = await deps.db.withTx(scopeOf(ctx), async (tx) => {
    const grant = await deps.access.authorize(tx, ctx, 'device.list')
    const rows = await listStoredDevices(tx, grant, afterDeviceId, input.limit + 1)
    const page = pageOfRows(rows, input.limit, (row) => row.device_id)
    await deps.audit.record(tx, ctx, { action: 'device.list', details: { devices: page.items.length } })
    return page
  })
  const of = { tenantId, access: outsideTx(deps.db, tenantId) }
  return { items: await Promise.all(page.items.map((device) => renderDevice(deps, of, device))), next: page.next }
}
