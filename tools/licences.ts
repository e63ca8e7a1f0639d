// Permissive licences only in what ships: `node tools/licences.ts`. It walks the production dependencies of what is
// released (server, CLI, chat page, packages) through package-lock.json and reads the licence of each from the
// installed package itself, because that is the copy that ships. `--list` prints them all.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './suites.ts'

/** SPDX ids that ask for no more than attribution. */
const PERMISSIVE: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
  'Python-2.0',
  'Unlicense',
  'Zlib',
])

/** Packages that may ship although their manifest does not say a licence from the list; each with its reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {}

interface LockEntry {
  readonly link?: boolean
  readonly resolved?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export type Lock = Readonly<Record<string, LockEntry>>

/** Every installed path that the workspaces need in production; optional packages of other platforms are left out. */
export function productionPaths(lock: Lock): readonly string[] {
  const waiting = ['', ...Object.keys(lock).filter((path) => /^(apps|packages)\/[^/]+$/.test(path))]
  const seen = new Set<string>()
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const { dependencies, optionalDependencies, peerDependencies } = lock[path] ?? {}
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = resolve(lock, path, name)
      if (found !== undefined) waiting.push(found)
    }
  }
  return [...seen].filter((path) => path.includes('node_modules/')).toSorted()
}

/** As Node finds it: in the folder's own node_modules, then in those above. */
function resolve(lock: Lock, from: string, name: string): string | undefined {
  for (let base = from; ; base = base.replace(/(^|\/)(node_modules\/(@[^/]+\/)?)?[^/]+$/, '')) {
    const path = base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`
    const entry = lock[path]
    if (entry !== undefined) return entry.link === true ? entry.resolved : path
    if (base === '') return undefined
  }
}

/** Understands SPDX expressions: one permissive side of an OR is enough, both sides of an AND are needed. */
export function isPermissive(expression: string): boolean {
  const text = expression.trim().replace(/^\((.*)\)$/, '$1')
  if (/ OR /i.test(text)) return text.split(/ OR /i).some(isPermissive)
  if (/ AND /i.test(text)) return text.split(/ AND /i).every(isPermissive)
  return PERMISSIVE.has(text)
}

function licenceOf(path: string): string {
  const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
    readonly license?: string | { readonly type?: string }
    readonly licenses?: readonly { readonly type?: string }[]
  }
  if (typeof manifest.license === 'string') return manifest.license
  return manifest.license?.type ?? manifest.licenses?.map(({ type }) => type ?? '').join(' OR ') ?? 'none stated'
}

if (import.meta.main) {
  const lock = (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Lock }).packages
  const paths = productionPaths(lock).filter((path) => existsSync(join(root, path, 'package.json')))
  const all = paths.map((path) => ({
    name: path.slice(path.lastIndexOf('node_modules/') + 13),
    licence: licenceOf(path),
  }))
  const wrong = all.filter(({ name, licence }) => !isPermissive(licence) && EXCEPTIONS[name] === undefined)
  const shown = process.argv.includes('--list') ? all : wrong
  for (const { name, licence } of shown) process.stdout.write(`${name}: ${licence}\n`)
  process.stdout.write(`licences: ${all.length} packages ship, ${wrong.length} without a permissive licence\n`)
  process.exitCode = wrong.length === 0 && all.length > 0 ? 0 : 1
}
