import { loadConfig, withComposition } from '@sotto/server'
import { addressToPrint } from './address-to-print.ts'
import { refuseDemoInProduction } from './demo/refuse-demo-in-production.ts'
import { renderSignIns } from './demo/render-sign-ins.ts'
import { seedDemo } from './demo/seed-demo.ts'

/** Makes the demo clinic in the configured database, once. */
export async function seed(): Promise<void> {
  const config = loadConfig()
  refuseDemoInProduction(config)
  await withComposition(config, { mayCreateKeyring: true }, async (composition) => {
    const demo = await seedDemo(composition, {
      dataDir: config.dataDir,
      onProgress: (step) => process.stdout.write(`  ${step}\n`),
    })
    const { url, note } = addressToPrint(config)
    process.stdout.write(`${renderSignIns(demo, url)}\n${note === '' ? '' : `\n${note}\n`}`)
  })
}
