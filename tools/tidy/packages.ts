import type { Finding, Package, Project, Rule } from './project.ts'

export const packageLicences: Rule = {
  name: 'licence of packages',
  check: (project) => eachPackage(project, checkLicence),
}
export const pins: Rule = { name: 'exact pins', check: (project) => eachPackage(project, checkPins) }
export const directions: Rule = { name: 'packages', check: checkDirections }

const EXACT = /^(npm:.+@)?\d+\.\d+\.\d+(-[\w.]+)?$/

function eachPackage(
  project: Project,
  check: (each: Package) => readonly (readonly [string, string])[],
): readonly Finding[] {
  return project.packages.flatMap((each) =>
    check(each).map(([what, instead]) => ({ path: manifestPath(each), line: 1, what, instead })),
  )
}

function manifestPath({ folder }: Package): string {
  return folder === '' ? 'package.json' : `${folder}/package.json`
}

function checkLicence({ manifest }: Package): readonly (readonly [string, string])[] {
  if (manifest.license === 'Apache-2.0') return []
  return [[`has the licence ${manifest.license ?? 'of nobody'}`, '"license": "Apache-2.0"']]
}

function checkPins({ manifest }: Package): readonly (readonly [string, string])[] {
  const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
  return Object.entries(all)
    .filter(([, version]) => !EXACT.test(version))
    .map(([name, version]) => [`${name} is ${version}`, 'the exact version: what is tested is what runs'] as const)
}

/** What each workspace package may stand on. Pure packages stand on nothing; the contract is known to all. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  transparency: [],
  safety: [],
  mls: [],
  sdk: ['protocol', 'mls', 'safety'],
  react: ['sdk', 'protocol'],
  server: ['protocol', 'transparency', 'safety', 'mls'],
  cli: ['server', 'protocol', 'transparency'],
  chat: ['sdk', 'react', 'protocol'],
  console: ['sdk', 'react', 'protocol'],
}

function checkDirections(project: Project): readonly Finding[] {
  return project.packages.flatMap((each) => {
    const allowed = MAY_IMPORT[(each.manifest.name ?? '').replace('@sotto/', '')]
    if (allowed === undefined) return []
    return Object.keys(each.manifest.dependencies ?? {})
      .filter((name) => name.startsWith('@sotto/') && !allowed.includes(name.slice('@sotto/'.length)))
      .map((name) => ({
        path: manifestPath(each),
        line: 1,
        what: `${each.manifest.name} stands on ${name}`,
        instead: `it may stand on ${allowed.join(', ') || 'nothing of ours'}`,
      }))
  })
}
