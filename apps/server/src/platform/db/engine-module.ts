import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** Compiled code, which threads may be given. */
export type EngineModule = object

// TypeScript has it in the library of browsers only.
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<EngineModule> }

let compiled: Promise<EngineModule> | undefined

/**
 * The embedded engine's code, for all its lives in this process: what has been compiled for one serves the next. Left to
 * load it by itself, each would compile everything anew, which takes a second.
 */
export function engineModule(): Promise<EngineModule> {
  return (compiled ??= compile())
}

async function compile(): Promise<EngineModule> {
  try {
    // It lies beside the entry of its package.
    const entry = createRequire(import.meta.url).resolve('@electric-sql/pglite')
    return await WebAssembly.compile(await readFile(join(dirname(entry), 'pglite.wasm')))
  } catch (error) {
    compiled = undefined
    throw error
  }
}
