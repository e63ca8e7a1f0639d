import { gzipSync } from 'node:zlib'
import { build } from 'vite'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

export interface Bundle {
  readonly code: string
  readonly gzipBytes: number
}

/**
 * Bundles the SDK as a page would get it: minified, in one file, with nothing left to be resolved.
 *
 * @param outDir  also writes it there, as `sdk.js`
 */
export async function bundleSdk(outDir?: string): Promise<Bundle> {
  const built = await build({
    root,
    configFile: false,
    logLevel: 'silent',
    build: {
      target: 'es2022',
      minify: true,
      write: outDir !== undefined,
      emptyOutDir: false,
      ...(outDir === undefined ? {} : { outDir }),
      lib: { entry: join(root, 'src/index.ts'), formats: ['es'], fileName: () => 'sdk.js' },
    },
  })
  const [result] = Array.isArray(built) ? built : [built]
  if (result === undefined || !('output' in result)) throw new Error('the bundler has built nothing')
  const chunks = result.output.flatMap((part) => (part.type === 'chunk' ? [part] : []))
  const imports = chunks.flatMap((chunk) => chunk.imports)
  if (chunks.length !== 1 || imports.length > 0) throw new Error(`the bundle is not whole: ${imports.join(', ')}`)
  const code = chunks.map((chunk) => chunk.code).join('')
  return { code, gzipBytes: gzipSync(code, { level: 9 }).length }
}
