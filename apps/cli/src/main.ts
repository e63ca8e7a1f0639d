#!/usr/bin/env node
import { assertRuntime } from '@sotto/server/runtime'

try {
  assertRuntime()
  const { createProgram } = await import('./program.ts')
  await createProgram().parseAsync()
} catch (error) {
  const { explain } = await import('./explain.ts')
  process.stderr.write(`${explain(error)}\n`)
  process.exitCode = 1
}
