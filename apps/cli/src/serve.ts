import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createLog, endOnUnhandled, loadConfig, startServer, type Config, type RunningServer } from '@sotto/server'
import { seedDemo } from './demo/seed-demo.ts'
import { renderSignIns } from './demo/render-sign-ins.ts'
import { refuseDemoInProduction } from './demo/refuse-demo-in-production.ts'
import { stopOnSignals } from './stop-on-signals.ts'

const pageDir = fileURLToPath(new URL('../../chat/dist', import.meta.url))

/**
 * Runs the server. The first signal drains and stops with exit code 0; a later one stops at once, with 1. A mistake of ours
 * that nobody caught drains, too, and ends with 70.
 */
export async function serve(options: { readonly demo?: boolean }): Promise<void> {
  const isDemo = options.demo ?? false
  const config = loadConfig(undefined, isDemo ? { SOTTO_LOG_LEVEL: 'warn' } : {})
  if (isDemo) refuseDemoInProduction(config)
  say('Starting Sotto …')
  const log = createLog({ level: config.logLevel })
  const running: { server?: RunningServer } = {}
  endOnUnhandled({
    source: process,
    log,
    drain: async () => running.server?.[Symbol.asyncDispose](),
    exit: (code) => process.exit(code),
  })
  const server = await startServer({ config, log, mayCreateKeyring: isDemo, pageDir, onFatal: die })
  running.server = server
  const stopping = stopOnSignals({
    source: process,
    nowMs: () => performance.now(),
    drain: () => drain(server),
    stopAtOnce: () => process.exit(1),
  })
  say(`\nSotto is running at ${server.url}\nAPI page           ${server.url}/reference`)
  const warning = warnOfMissingPage(pageDir)
  if (warning !== undefined) process.stderr.write(`${warning}\n`)
  if (isDemo) await showDemo(config, server, stopping)
  say('\nCtrl-C drains and stops.')
}

/** @returns what to do when the page has not been built: without it the address answers 404, and nothing says why */
export function warnOfMissingPage(dir: string): string | undefined {
  if (existsSync(join(dir, 'index.html'))) return undefined
  return `sotto: the chat page is not built, so ${dir} is not served: \`npm run setup\` builds it. The API works without it.`
}

async function showDemo(config: Config, server: RunningServer, stopping: AbortSignal): Promise<void> {
  try {
    const demo = await seedDemo(server.composition, {
      dataDir: config.dataDir,
      onProgress: (step) => say(`  ${step}`),
    })
    say(renderSignIns(demo, server.url))
  } catch (error) {
    // Whoever stops the server while the clinic is being made has not met a mistake. The next start goes on with it.
    if (stopping.aborted) return
    await server[Symbol.asyncDispose]()
    throw error
  }
}

function die(error: Error): never {
  if (error.name === 'AnotherServerRuns') {
    process.stderr.write(`sotto: ${error.message}\n`)
    process.exit(1)
  }
  const { code = error.name } = error as { readonly code?: string }
  process.stderr.write(
    `sotto: the embedded database died and cannot be opened again (${code}). Look at the data folder before you start again.\n`,
  )
  process.exit(1)
}

function drain(server: RunningServer): void {
  say('\nDraining … (again to stop at once)')
  server[Symbol.asyncDispose]().then(
    () => say('Stopped.'),
    (error: unknown) => {
      process.stderr.write(`sotto: ${error instanceof Error ? error.name : 'an error'} while stopping\n`)
      process.exitCode = 1
    },
  )
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
