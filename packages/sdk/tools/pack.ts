import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

/**
 * Builds the packages that an app developer installs: JavaScript and declarations, a package.json that points to them,
 * one tarball each. `@sotto/protocol` goes along because the SDK's declarations are made of its types.
 *
 * Usage: node packages/sdk/tools/pack.ts <folder>
 */
const run = promisify(execFile)
const repository = join(import.meta.dirname, '../../..')
const tsc = join(repository, 'node_modules/typescript/bin/tsc')

interface Packed {
  readonly name: string
  /** Folder of what is in the tarball: fit for publint. */
  readonly folder: string
  readonly tarball: string
}

/** @param target  an empty folder; gets `<package>/` and the tarballs @returns in the order of dependence */
export async function packSdk(target: string): Promise<readonly Packed[]> {
  const packed: Packed[] = []
  for (const name of ['protocol', 'sdk']) packed.push(await packPackage(name, target))
  return packed
}

async function packPackage(name: string, target: string): Promise<Packed> {
  const source = join(repository, 'packages', name)
  const folder = join(target, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await compile(source, folder)
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(publishedManifest(manifest), null, 2)}\n`)
  for (const path of [join(source, 'README.md'), join(repository, 'LICENSE')]) {
    if (existsSync(path)) copyFileSync(path, join(folder, basename(path)))
  }
  const { stdout } = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', target], folder)
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
  return { name: manifest.name, folder, tarball: join(target, filename) }
}

/** Compiles what ships: no tests, no test support. Imports of `.ts` become `.js`, in declarations too. */
async function compile(source: string, folder: string): Promise<void> {
  const config = join(folder, 'tsconfig.build.json')
  const options = {
    extends: join(repository, 'tsconfig.base.json'),
    compilerOptions: {
      rootDir: join(source, 'src'),
      outDir: join(folder, 'dist'),
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      stripInternal: true,
      types: ['node'],
      typeRoots: [join(repository, 'node_modules/@types')],
      lib: ['es2024', 'esnext.disposable', 'dom', 'dom.iterable'],
    },
    include: [join(source, 'src')],
    exclude: [join(source, '**/*.test.ts')],
  }
  writeFileSync(config, JSON.stringify(options))
  await run(process.execPath, [tsc, '-p', config])
  rmSync(config)
  // The compiler rewrites imports in what it emits as code only.
  for (const path of globSync('dist/**/*.d.ts', { cwd: folder })) {
    const text = readFileSync(join(folder, path), 'utf8')
    writeFileSync(join(folder, path), text.replaceAll(/((?:from |import\()['"]\.{1,2}\/[^'"]+)\.ts(['"])/g, '$1.js$2'))
  }
}

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

/** The repository runs sources; who installs gets what was built from them. */
function publishedManifest(manifest: Manifest): Manifest & Record<string, unknown> {
  const entries = Object.entries(manifest.exports).map(([path, source]) => {
    const built = source.replace('./src/', './dist/').replace(/\.ts$/, '')
    return [path, { types: `${built}.d.ts`, default: `${built}.js` }]
  })
  const { private: _private, devDependencies: _devDependencies, ...rest } = manifest
  return {
    ...rest,
    exports: Object.fromEntries(entries) as never,
    files: ['dist', 'README.md', 'LICENSE'],
    engines: { node: '>=22.13' },
    sideEffects: false,
  } as never
}

/** The npm that called us, under the Node that runs this; else the one on the path. */
export function npm(args: readonly string[], cwd: string): Promise<{ stdout: string; stderr: string }> {
  const cli = process.env['npm_execpath']
  const options = { cwd, maxBuffer: 64 * 1024 * 1024 }
  return cli === undefined ? run('npm', [...args], options) : run(process.execPath, [cli, ...args], options)
}

if (import.meta.main) {
  const [target] = process.argv.slice(2)
  if (target === undefined) throw new Error('usage: node packages/sdk/tools/pack.ts <folder>')
  for (const { name, tarball } of await packSdk(target)) console.info(`${name} ${tarball}`)
}
