import { posix } from 'node:path'
import { packageName, packageOf, type Finding, type Package, type Project, type Rule } from './project.ts'
import { isTestFile, type Source } from './source.ts'

export const cycles: Rule = { name: 'cycles', check: checkCycles }
export const deadFiles: Rule = { name: 'dead files', check: checkDeadFiles }
export const declared: Rule = { name: 'declared', check: checkDeclared }

// ---- cycles: of what runs; types may refer to each other ----

function checkCycles(project: Project): readonly Finding[] {
  const done = new Set<string>()
  const findings: Finding[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start !== -1) {
      const circle = [...trail.slice(start), path].map((each) => posix.basename(each)).join(' → ')
      findings.push({
        path,
        line: 1,
        what: `imports itself: ${circle}`,
        instead: 'move what both need to a file below them',
      })
      return
    }
    if (done.has(path)) return
    for (const { target, typeOnly } of project.sources.get(path)?.imports ?? []) {
      if (target !== undefined && !typeOnly) visit(target, [...trail, path])
    }
    done.add(path)
  }
  for (const path of project.sources.keys()) visit(path, [])
  return findings
}

// ---- dead files: not reached from an entry or a test ----

function checkDeadFiles(project: Project): readonly Finding[] {
  const entries = new Set([...project.sources.keys()].filter(isEntryByName))
  for (const each of project.packages) for (const path of namedFiles(each)) entries.add(path)
  for (const [path, text] of project.texts)
    if (path.endsWith('.html')) for (const each of scriptsOf(path, text)) entries.add(each)
  const unfinished = project.packages
    .filter((each) => each.folder !== '' && !hasEntry(project, each))
    .map((each) => `${each.folder}/`)
  const alive = reachable(
    project,
    [...entries].filter((path) => project.sources.has(path)),
  )
  return [...project.sources.keys()]
    .filter((path) => !alive.has(path) && !unfinished.some((folder) => path.startsWith(folder)))
    .map((path) => ({ path, line: 1, what: 'nothing imports it', instead: 'delete it, or use it' }))
}

function isEntryByName(path: string): boolean {
  return /\.(test|config)\.(ts|mjs)$|\.test\.tsx$|\.d\.ts$/.test(path) || isScript(path)
}

/** Started by hand or by tools/generate.ts: generators and benchmarks. They see the development dependencies. */
function isScript(path: string): boolean {
  return /^bench\/[^/]+\.ts$|^tools\/generate\/[^/]+\.ts$|^(apps|packages)\/[^/]+\/generate-[a-z0-9-]+\.ts$/.test(path)
}

/** Files that a manifest names: exports, bin, and what its scripts run. */
function namedFiles({ folder, manifest }: Package): readonly string[] {
  const texts = JSON.stringify([manifest.exports ?? '', manifest.bin ?? '', manifest.scripts ?? ''])
  return [...texts.matchAll(/[\w./-]+\.(?:tsx?|mjs)\b/g)].map((match) => posix.join(folder, match[0]))
}

/** A package whose entry is yet to be written has no dead files: nothing can reach them. */
function hasEntry(project: Project, each: Package): boolean {
  const named = namedFiles(each)
  return named.length === 0 || named.some((path) => project.sources.has(path))
}

function scriptsOf(path: string, html: string): readonly string[] {
  return [...html.matchAll(/<script[^>]+src="([^"]+)"/g)].map((match) => posix.join(posix.dirname(path), match[1]!))
}

function reachable(project: Project, entries: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const waiting = [...entries]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    const source = project.sources.get(path)
    if (source !== undefined) waiting.push(...uses(project, source))
  }
  return seen
}

/** Imports, workspace packages by name, and files named in a string: workers, scripts that are started. */
function uses(project: Project, source: Source): readonly string[] {
  const folder = posix.dirname(source.path)
  const imported = source.imports.flatMap(({ specifier, target }) =>
    target === undefined ? workspaceFiles(project, specifier) : [target],
  )
  const named = source.strings
    .filter(({ text }) => /\.(tsx?|mjs)$/.test(text) && !/\s/.test(text))
    .flatMap(({ text }) => [posix.join(folder, text), posix.normalize(text)])
  return [...imported, ...named].filter((path) => project.sources.has(path))
}

function workspaceFiles(project: Project, specifier: string): readonly string[] {
  const found = project.packages.find(({ manifest }) => manifest.name === packageName(specifier))
  return found === undefined ? [] : namedFiles(found)
}

// ---- declared: what a file imports stands in its own package's manifest ----

function checkDeclared(project: Project): readonly Finding[] {
  return [...project.sources.values()].flatMap((source) =>
    source.imports
      .filter(
        ({ specifier, target }) =>
          target === undefined && !specifier.startsWith('node:') && !/^(virtual:|#|\/)/.test(specifier),
      )
      .filter(({ specifier, typeOnly }) => !isDeclared(project, source, packageName(specifier), typeOnly))
      .map(({ specifier, line }) => ({
        path: source.path,
        line,
        what: `${packageName(specifier)} is not in the package's own manifest`,
        instead: 'add it there, exactly pinned (built-in modules are written node:…)',
      })),
  )
}

function isDeclared(project: Project, source: Source, name: string, typeOnly: boolean): boolean {
  const own = packageOf(project, source.path)
  const root = project.packages.find(({ folder }) => folder === '')
  const has = (each: Package | undefined, development: boolean): boolean =>
    each?.manifest.name === name ||
    each?.manifest.dependencies?.[name] !== undefined ||
    each?.manifest.peerDependencies?.[name] !== undefined ||
    each?.manifest.optionalDependencies?.[name] !== undefined ||
    (development && each?.manifest.devDependencies?.[name] !== undefined)
  const development =
    typeOnly ||
    isTestFile(source.path) ||
    own?.folder === '' ||
    /\.config\.(ts|mjs)$/.test(source.path) ||
    isScript(source.path)
  const workspace = own?.folder === '' && project.packages.some(({ manifest }) => manifest.name === name)
  const isTest = isTestFile(source.path) && name.startsWith('@sotto/')
  return has(own, development) || (development && has(root, true)) || workspace || isTest
}
