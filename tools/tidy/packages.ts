import type { Finding, Package, Project, Rule } from './project.ts'

export const packageLicences: Rule = {
  name: 'licence of packages',
  check: (project) => eachPackage(project, checkLicence),
}
export const pins: Rule = { name: 'exact pins', check: (project) => eachPackage(project, checkPins) }
export const installScripts: Rule = { name: 'install scripts', check: checkInstallScripts }
export const setUp: Rule = { name: 'set-up first', check: checkSetUp }
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

/** A package that runs code when it is installed runs it on every machine, before anybody has looked. */
function checkInstallScripts(project: Project): readonly Finding[] {
  const lock = JSON.parse(project.texts.get('package-lock.json') ?? '{}') as {
    readonly packages?: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>
  }
  const allowScripts = project.packages.find(({ folder }) => folder === '')?.manifest.allowScripts ?? {}
  const unknown = Object.entries(lock.packages ?? {})
    .filter(([, { hasInstallScript }]) => hasInstallScript === true)
    .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    .filter((name) => allowScripts[name] !== false)
    .map((name) => `${name} has an install script, and nobody has said that it is not needed`)
  const allowed = Object.entries(allowScripts)
    .filter(([, isAllowed]) => isAllowed)
    .map(([name]) => `${name} may run its install script, which tools/setup.mjs does not run`)
  return [...unknown, ...allowed].map((what) => ({
    path: 'package.json',
    line: 1,
    what,
    instead: 'another package; or see that it works without the script and say `false` in `allowScripts`',
  }))
}

/** On a fresh clone no script of the root works before the packages, and with them the pinned Node, are there. */
function checkSetUp(project: Project): readonly Finding[] {
  const scripts = project.packages.find(({ folder }) => folder === '')?.manifest.scripts ?? {}
  return Object.keys(scripts)
    .filter((name) => name !== 'setup' && !(name.startsWith('pre') && scripts[name.slice(3)] !== undefined))
    .filter((name) => !(scripts[`pre${name}`] ?? '').startsWith('node tools/setup.mjs'))
    .map((name) => ({
      path: 'package.json',
      line: 1,
      what: `npm run ${name} fails on a fresh clone without saying why`,
      instead: `"pre${name}": "node tools/setup.mjs --packages"`,
    }))
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
