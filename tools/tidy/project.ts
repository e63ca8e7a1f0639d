import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { parseSource, type Source } from './source.ts'

/** Everything a rule may look at. */
export interface Project {
  readonly root: string
  /** TypeScript and JavaScript, by path from the root. */
  readonly sources: ReadonlyMap<string, Source>
  /** Every other text file. */
  readonly texts: ReadonlyMap<string, string>
  readonly rooms: Readonly<Record<string, Room>>
  readonly packages: readonly Package[]
}

/** A row of apps/server/domains.json. */
export interface Room {
  readonly purpose: string
  readonly tables: readonly string[]
  readonly imports: readonly string[]
}

export interface Package {
  /** From the root; '' is the root itself. */
  readonly folder: string
  readonly manifest: Manifest
}

export interface Manifest {
  readonly name?: string
  readonly version?: string
  readonly license?: string
  readonly private?: boolean
  readonly bin?: Readonly<Record<string, string>>
  readonly exports?: unknown
  readonly scripts?: Readonly<Record<string, string>>
  readonly allowScripts?: Readonly<Record<string, boolean>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

export interface Finding {
  readonly path: string
  readonly line: number
  readonly what: string
  readonly instead: string
}

export interface Rule {
  readonly name: string
  check(project: Project): readonly Finding[]
}

export const ROOMS_FILE = 'apps/server/domains.json'

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.cache', '.sotto', 'coverage'])
const CODE = /\.(ts|tsx|mjs)$/
const TEXT = /\.(md|json|sql|html|css|yml|yaml|sh|txt|svg)$|^\.ci\/|^\.npmrc$|^\.gitignore$|Dockerfile$/

export function loadProject(root: string): Project {
  const sources = new Map<string, Source>()
  const texts = new Map<string, string>()
  for (const path of listFiles(root, root)) {
    if (!CODE.test(path) && !TEXT.test(path)) continue
    const text = readFileSync(join(root, path), 'utf8')
    if (CODE.test(path)) sources.set(path, parseSource(path, text))
    else texts.set(path, text)
  }
  const manifests = [...texts].filter(([path]) => /^((apps|packages)\/[^/]+\/)?package\.json$/.test(path))
  return {
    root,
    sources,
    texts,
    rooms: JSON.parse(texts.get(ROOMS_FILE) ?? '{}') as Readonly<Record<string, Room>>,
    packages: manifests.map(([path, text]) => ({
      folder: path === 'package.json' ? '' : dirname(path),
      manifest: JSON.parse(text) as Manifest,
    })),
  }
}

function listFiles(root: string, folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : listFiles(root, path)
    return entry.isFile() ? [relative(root, path).replaceAll('\\', '/')] : []
  })
}

/** The workspace package that a file belongs to; the root's when it is in none. */
export function packageOf(project: Project, path: string): Package | undefined {
  const inner = project.packages.find(({ folder }) => folder !== '' && path.startsWith(`${folder}/`))
  return inner ?? project.packages.find(({ folder }) => folder === '')
}

/** `@scope/name/part` → `@scope/name` */
export function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
