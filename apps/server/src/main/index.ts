/** What the command line and the test kit use of the server. */
export { compose, type Composition } from './compose.ts'
export { ConfigurationRefused, limitSetting, loadConfig, settings, tunableLimits, type Config } from './config.ts'
export { checkDeployment, type Finding } from './check-deployment.ts'
export { migratePostgres } from './migrate-postgres.ts'
export { openKeyring } from './open-ground.ts'
export { startServer, type RunningServer, type StartOptions } from './server.ts'
export { VERSION } from './version.ts'
export { withComposition } from './with-composition.ts'
