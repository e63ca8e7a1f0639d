import type { Config } from '@sotto/server'
import { CommandRefused } from '../explain.ts'

/** The demo's passwords are published, so whoever reaches the port could sign in. @throws CommandRefused */
export function refuseDemoInProduction(config: Pick<Config, 'isProduction'>): void {
  if (!config.isProduction) return
  throw new CommandRefused(
    'The demo clinic has published passwords and is not made with NODE_ENV=production. `sotto init` makes a real tenant.',
  )
}
