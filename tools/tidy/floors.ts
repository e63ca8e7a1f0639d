import { packageName, ROOMS_FILE, type Finding, type Project, type Rule } from './project.ts'
import { isTestFile, type Import, type Source } from './source.ts'

// The house has floors: main → edges → domains → platform, and adapters beside them. These rules read the imports of
// each file of the server and say which floor may use which. The table that explains them is in ARCHITECTURE.md.

const SRC = 'apps/server/src/'

/** A place in the house: its floor and, on it, the room (or edge, adapter, part of the platform). */
interface Place {
  readonly floor: string
  readonly part: string
  readonly path: string
}

interface Verdict {
  readonly what: string
  readonly instead: string
}

const ours = (...names: readonly string[]): ReadonlySet<string> => new Set(names.map((name) => `@sotto/${name}`))

const PACKAGES_OF_FLOOR: Readonly<Record<string, ReadonlySet<string>>> = {
  main: ours('protocol', 'transparency', 'safety', 'mls'),
  edges: ours('protocol'),
  domains: ours('protocol', 'transparency', 'safety'),
  adapters: ours('protocol'),
  platform: ours('protocol'),
}

/** The libraries that rules may use: they compute and reach nothing. All others have floors of their own. */
const VENDORS_OF_DOMAINS: ReadonlySet<string> = new Set(['zod', 'jose'])

/** What all edges do before they serve: authenticate, parse, limit. The one part of that floor that others may import. */
const SHARED_EDGE = 'gate'

/** What reaches outside of the process. A room that needs it declares a port; an adapter implements it. */
const BUILTINS_NOT_IN_DOMAINS =
  /^node:(fs|net|tls|dgram|dns|http|https|http2|child_process|worker_threads|cluster)(\/|$)/

export const floors: Rule = { name: 'floors', check: (project) => eachImport(project, checkFloor) }
export const doors: Rule = { name: 'doors', check: (project) => eachImport(project, checkDoor) }
export const roomTable: Rule = { name: 'rooms', check: checkRoomTable }

function eachImport(
  project: Project,
  check: (project: Project, from: Place, to: Place | undefined, item: Import) => Verdict | undefined,
): readonly Finding[] {
  return serverSources(project).flatMap((source) =>
    source.imports.flatMap((item) => {
      const verdict = check(project, placeOf(source.path)!, item.target ? placeOf(item.target) : undefined, item)
      return verdict === undefined ? [] : [{ path: source.path, line: item.line, ...verdict }]
    }),
  )
}

/** Tests are free to bring up whatever they test against. */
function serverSources(project: Project): readonly Source[] {
  return [...project.sources.values()].filter(({ path }) => path.startsWith(SRC) && !isTestFile(path))
}

function placeOf(path: string): Place | undefined {
  if (!path.startsWith(SRC)) return undefined
  const [floor = '', part = ''] = path.slice(SRC.length).split('/')
  return { floor, part, path }
}

function checkFloor(_: Project, from: Place, to: Place | undefined, item: Import): Verdict | undefined {
  if (to !== undefined) return checkInside(from, to)
  if (item.target !== undefined) {
    return { what: `${item.specifier} leaves the server`, instead: 'import a workspace package by its name' }
  }
  return checkOutside(from, item.specifier)
}

function checkInside(from: Place, to: Place): Verdict | undefined {
  const same = from.floor === to.floor && from.part === to.part
  if (same || from.floor === 'main' || to.floor === 'platform') return undefined
  const what = `${from.floor}/${from.part} imports ${to.floor}/${to.part}`
  if (from.floor === 'edges' && (to.floor === 'domains' || (to.floor === 'edges' && to.part === SHARED_EDGE)))
    return undefined
  if (from.floor === 'domains' && to.floor === 'domains') return undefined
  if (from.floor === 'adapters' && to.floor === 'domains') {
    if (to.path.endsWith('.port.ts')) return undefined
    return { what, instead: "an adapter sees the room's *.port.ts and nothing else of it" }
  }
  const instead: Readonly<Record<string, string>> = {
    edges: 'an edge imports doors of rooms and the platform; let main/compose.ts hand it the rest',
    domains:
      'a room imports rooms and the platform; declare a *.port.ts or a parameter and let main/compose.ts fill it',
    adapters: 'an adapter imports ports and the platform',
    platform: 'the platform knows no word of the product; turn the import round or pass a function',
  }
  return {
    what,
    instead: instead[from.floor] ?? `${from.floor} is no floor of the house: main, edges, domains, adapters, platform`,
  }
}

function checkOutside(from: Place, specifier: string): Verdict | undefined {
  const what = `${from.floor}/${from.part} imports ${specifier}`
  const name = packageName(specifier)
  if (name.startsWith('@sotto/')) {
    if (PACKAGES_OF_FLOOR[from.floor]?.has(name) === true) return undefined
    return { what, instead: `${from.floor} may import ${[...(PACKAGES_OF_FLOOR[from.floor] ?? [])].join(', ')}` }
  }
  if (from.floor !== 'domains') return undefined
  const builtin = specifier.startsWith('node:')
  if (builtin ? !BUILTINS_NOT_IN_DOMAINS.test(specifier) : VENDORS_OF_DOMAINS.has(name)) return undefined
  return { what, instead: 'rules reach nothing outside: declare a *.port.ts in the room and implement it in adapters/' }
}

function checkDoor(project: Project, from: Place, to: Place | undefined): Verdict | undefined {
  if (to?.floor !== 'domains' || (from.floor === 'domains' && from.part === to.part)) return undefined
  const door = `domains/${to.part}/index.ts`
  const isPort = to.path.endsWith('.port.ts') && (from.floor === 'adapters' || from.floor === 'main')
  if (!to.path.endsWith(`/${door}`) && !isPort) {
    return { what: `${to.path.slice(SRC.length)} is inside a room`, instead: `import it from ${door}, the room's door` }
  }
  if (from.floor !== 'domains' || (project.rooms[from.part]?.imports ?? []).includes(to.part)) return undefined
  return {
    what: `the room ${from.part} imports the room ${to.part}`,
    instead: `${ROOMS_FILE} does not list it: let ${to.part} react to an event, take a parameter, or change the table`,
  }
}

function checkRoomTable(project: Project): readonly Finding[] {
  const at = (what: string, instead: string): Finding => ({ path: ROOMS_FILE, line: 1, what, instead })
  const names = Object.keys(project.rooms)
  const unknown = names.flatMap((name) =>
    project.rooms[name]!.imports.filter((other) => !names.includes(other)).map((other) =>
      at(`${name} imports ${other}, which is no room`, 'add its row or drop the import'),
    ),
  )
  const circles = names
    .filter((name) => reaches(project, name, name))
    .map((name) => at(`${name} imports itself by way of others`, 'rooms have no cycles: turn one import into an event'))
  const folders = new Set(
    serverSources(project)
      .map(({ path }) => placeOf(path)!)
      .filter(({ floor }) => floor === 'domains')
      .map(({ part }) => part),
  )
  const unlisted = [...folders]
    .filter((room) => !names.includes(room))
    .map((room) => at(`domains/${room} has no row`, 'say its purpose, its tables and what it may import'))
  return [...unknown, ...circles, ...unlisted]
}

function reaches(project: Project, from: string, goal: string, seen = new Set<string>()): boolean {
  return (project.rooms[from]?.imports ?? []).some((next) => {
    if (next === goal) return true
    if (seen.has(next)) return false
    seen.add(next)
    return reaches(project, next, goal, seen)
  })
}
