import { createLog } from '../platform/log/log.ts'
import { compose, type Composition } from './compose.ts'
import type { Config } from './config.ts'
import { openDatabase, openKeyring } from './open-ground.ts'
import { findDeploymentId } from '../platform/db/deployment-id.ts'
import { ensureSystemTenant } from './deployment.ts'

/** The rooms without edges, for a command that does one thing and ends. The embedded database is locked meanwhile. */
export async function withComposition<T>(
  config: Config,
  options: { readonly mayCreateKeyring: boolean },
  fn: (composition: Composition) => Promise<T>,
): Promise<T> {
  const log = createLog({ level: config.logLevel === 'info' ? 'warn' : config.logLevel })
  const keyring = await openKeyring(config, { mayCreate: options.mayCreateKeyring })
  await using db = await openDatabase(config, keyring, log, (error) => {
    throw error
  })
  const composition = compose({ config, db, keyring, log, deploymentId: await findDeploymentId(db) })
  await ensureSystemTenant(composition)
  const result = await fn(composition)
  await composition.appender.idle()
  await composition.audit.flushRefusals(true)
  return result
}
