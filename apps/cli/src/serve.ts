import { fileURLToPath } from 'node:url'
import { loadConfig, startServer, type RunningServer } from '@sotto/server'
import { seedDemo } from './demo/seed-demo.ts'
import { renderSignIns } from './demo/render-sign-ins.ts'

const pageDir = fileURLToPath(new URL('../../chat/dist', import.meta.url))

/** Runs the server. The first signal drains and stops; a second one stops at once. */
export async function serve(options: { readonly demo?: boolean }): Promise<void> {
  const config = loadConfig()
  const isDemo = options.demo ?? false
  process.stdout.write('Starting Sotto …\n')
  const server = await startServer({ config, mayCreateKeyring: isDemo, pageDir, onFatal: die })
  stopOnSignals(server)
  process.stdout.write(`\nSotto is running at ${server.url}\nAPI page           ${server.url}/reference\n`)
  if (!isDemo) return
  const demo = await seedDemo(server.composition, {
    dataDir: config.dataDir,
    onProgress: (step) => process.stdout.write(`  ${step}\n`),
  })
  process.stdout.write(renderSignIns(demo, server.url))
}

function die(error: Error): never {
  process.stderr.write(`sotto: the database engine died (${error.name}); start again, what was acknowledged is safe.\n`)
  process.exit(1)
}

function stopOnSignals(server: RunningServer): void {
  let isStopping = false
  const stop = () => {
    if (isStopping) process.exit(1)
    isStopping = true
    process.stdout.write('\nDraining … (again to stop at once)\n')
    server[Symbol.asyncDispose]().then(
      () => process.stdout.write('Stopped.\n'),
      (error: unknown) => {
        process.stderr.write(`sotto: ${error instanceof Error ? error.name : 'an error'} while stopping\n`)
        process.exitCode = 1
      },
    )
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
}
