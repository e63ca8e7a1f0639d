import { basename } from 'node:path'
import { ROOMS_FILE, type Finding, type Project, type Rule } from './project.ts'
import { isTestFile, type Source } from './source.ts'

// All rooms have the same furniture, and the suffix of a file is a promise.

const DOMAINS = 'apps/server/src/domains/'
const SUFFIXES =
  /\.(model|routes|commands|events|topics|problems|port|deps)\.ts$|-store\.ts$|^index\.ts$|^on-[a-z0-9-]+\.ts$/

export const suffixes: Rule = { name: 'suffixes', check: (project) => rooms(project).flatMap(checkSuffix) }
export const readmes: Rule = { name: 'readmes', check: checkReadmes }
export const besideTests: Rule = { name: 'tests beside', check: checkTests }
export const sqlPlace: Rule = { name: 'sql', check: checkSqlPlace }
export const tableOwners: Rule = { name: 'tables', check: checkTables }

function rooms(project: Project): readonly Source[] {
  return [...project.sources.values()].filter(({ path }) => path.startsWith(DOMAINS) && !isTestFile(path))
}

const roomOf = (path: string): string => path.slice(DOMAINS.length).split('/')[0]!

/** A file of a room that has no suffix is an operation, or a thing with a life (`createAppender`, `openRelay`). */
function isOperation(source: Source): boolean {
  return !SUFFIXES.test(basename(source.path))
}

function checkSuffix(source: Source): readonly Finding[] {
  const file = basename(source.path)
  const at = (what: string, instead: string, line = 1): Finding => ({ path: source.path, line, what, instead })
  if (file.endsWith('-store.ts')) {
    return source.exports
      .filter(({ parameters, async }) => parameters[0] !== 'tx' && (async || parameters.includes('tx')))
      .map(({ name, line }) =>
        at(`${name} does not take tx first`, 'a store works in the transaction of its caller', line),
      )
  }
  if (file.endsWith('.port.ts') || file.endsWith('.deps.ts')) {
    return source.exports
      .filter(({ kind }) => kind !== 'type')
      .map(({ name, line }) =>
        at(`${name} is no type`, 'ports and deps are types only; what runs is an adapter, or main/compose.ts', line),
      )
  }
  if (file.endsWith('.model.ts')) return checkModel(source, at)
  if (!isOperation(source)) return []
  const name = camelCase(basename(file, '.ts'))
  const carries = (each: string): boolean => each.toLowerCase().includes(name.toLowerCase())
  const runs = source.exports.filter(({ kind }) => kind === 'function' || kind === 'class')
  if (runs.some((each) => carries(each.name))) return []
  const instead = `export function ${name} (or one that carries the name: create${pascalCase(name)}), or give the file the suffix of what it holds: .model.ts for types and pure rules`
  return [at(`no function carries the file's name`, instead)]
}

function checkModel(source: Source, at: (what: string, instead: string, line: number) => Finding): readonly Finding[] {
  const impure = /^node:(fs|net|http|child_process|worker_threads)|\/platform\/(db|bus|outbox|jobs|log)\/|-store\.ts$/
  return source.imports
    .filter(({ specifier, typeOnly }) => !typeOnly && impure.test(specifier))
    .map(({ specifier, line }) => at(`imports ${specifier}`, 'a model is types and pure rules, without I/O', line))
}

function camelCase(kebab: string): string {
  return kebab.replace(/[-.]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function pascalCase(camel: string): string {
  return camel.charAt(0).toUpperCase() + camel.slice(1)
}

function checkReadmes(project: Project): readonly Finding[] {
  const used = new Set(rooms(project).map(({ path }) => roomOf(path)))
  return [...used].flatMap((room) => {
    const path = (name: string): string => `${DOMAINS}${room}/${name}`
    const wanted = [
      ['README.md', project.texts.has(path('README.md')), 'owns · invariants · emits · imports · start reading at'],
      ['index.ts', project.sources.has(path('index.ts')), 'the door: what other rooms and edges may use'],
    ] as const
    return wanted
      .filter(([, exists]) => !exists)
      .map(([name, , holds]) => ({
        path: path(name),
        line: 1,
        what: `the room ${room} has none`,
        instead: `write it: ${holds}`,
      }))
  })
}

/** Beside it by name, or in a test of the same room that calls one of its functions. */
function checkTests(project: Project): readonly Finding[] {
  const tests = [...project.sources.values()].filter(
    ({ path }) => path.startsWith(DOMAINS) && path.endsWith('.test.ts'),
  )
  const isTested = ({ path, exports }: Source): boolean =>
    project.sources.has(path.replace(/\.ts$/, '.test.ts')) ||
    tests
      .filter((test) => roomOf(test.path) === roomOf(path))
      .some((test) => exports.some(({ kind, name }) => kind !== 'type' && new RegExp(`\\b${name}\\b`).test(test.text)))
  return rooms(project)
    .filter((source) => isOperation(source) || basename(source.path).startsWith('on-'))
    .filter((source) => !isTested(source))
    .map(({ path }) => ({
      path,
      line: 1,
      what: 'no test of its room calls it',
      instead: `write ${basename(path, '.ts')}.test.ts`,
    }))
}

// ---- SQL ----

const SQL_HOMES = /^apps\/server\/src\/(platform\/(db|outbox)\/|domains\/[^/]+\/(.*\/)?[a-z0-9-]+-store\.ts$)/
const DRIVERS = /^(pg|kysely|@electric-sql\/.+)$/

function checkSqlPlace(project: Project): readonly Finding[] {
  const instead = 'SQL lives in *-store.ts of the room that owns the table, in platform/db and in platform/outbox'
  return [...project.sources.values()]
    .filter(({ path }) => path.startsWith('apps/server/src/') && !isTestFile(path) && !SQL_HOMES.test(path))
    .flatMap(({ path, marks, imports }) => [
      ...marks
        .filter(({ kind }) => kind === 'statement')
        .map(({ line }) => ({ path, line, what: 'a statement', instead })),
      ...imports
        .filter(({ specifier }) => DRIVERS.test(specifier))
        .map(({ specifier, line }) => ({ path, line, what: `imports ${specifier}`, instead })),
    ])
}

/** Tables that belong to the ground and not to a room. */
const GROUND_TABLES: ReadonlySet<string> = new Set(['schema_migration', 'deployment', 'context_key', 'outbox'])

/** Of those, what any room may read: which deployment this is. */
const READABLE_TABLES: ReadonlySet<string> = new Set(['deployment'])

function checkTables(project: Project): readonly Finding[] {
  return [...checkMigrations(project), ...rooms(project).flatMap((source) => checkStoreTables(project, source))]
}

function checkMigrations(project: Project): readonly Finding[] {
  const migrations = [...project.texts].filter(([path]) => /^apps\/server\/db\/migrations\/.+\.sql$/.test(path))
  return migrations.flatMap(([path, text]) =>
    text.split('\n').flatMap((content, index) => {
      const table = /^\s*create table (?:if not exists )?(?:sotto\.)?(\w+)(?!\w)(?! partition of)/i.exec(content)?.[1]
      if (table === undefined || GROUND_TABLES.has(table)) return []
      const owners = Object.keys(project.rooms).filter((room) => project.rooms[room]!.tables.includes(table))
      if (owners.length === 1) return []
      const what = `${table} belongs to ${owners.length === 0 ? 'no room' : owners.join(' and ')}`
      return [{ path, line: index + 1, what, instead: `list it in the tables of exactly one room in ${ROOMS_FILE}` }]
    }),
  )
}

function checkStoreTables(project: Project, source: Source): readonly Finding[] {
  if (!source.path.endsWith('-store.ts')) return []
  const room = roomOf(source.path)
  const own = project.rooms[room]?.tables ?? []
  return source.strings.flatMap(({ text, line }) =>
    tablesIn(text)
      .filter((table) => !own.includes(table) && !(READABLE_TABLES.has(table) && /^\s*select\b/i.test(text)))
      .map((table) => {
        const owner = Object.keys(project.rooms).find((name) => project.rooms[name]!.tables.includes(table))
        const what = `${table} belongs to ${owner ?? (GROUND_TABLES.has(table) ? 'the platform' : 'no room')}`
        const list = `or list it in ${ROOMS_FILE} as a table of ${room}`
        return {
          path: source.path,
          line,
          what,
          instead: owner ? `ask the room ${owner} by its door` : `use the platform's function, ${list}`,
        }
      }),
  )
}

// A name before a bracket is a function after `from` and a table after `insert into`.
const TABLE =
  /\b(?:(?:from|join|update|delete from|truncate)\s+(?:only\s+)?(?:sotto\.)?([a-z_]\w*)\b(?!\s*[(.])|insert into\s+(?:sotto\.)?([a-z_]\w*))/gi

/** The tables that an SQL text names: what follows from, join, into, update, less its own common table expressions. */
export function tablesIn(text: string): readonly string[] {
  if (!/\b(select|insert into|update|delete from)\b[\s\S]*\b(from|values|select|set|where)\b/i.test(text)) return []
  const sql = text
    .replace(/--.*$/gm, '')
    .replace(/\b(is (not )?distinct|extract\s*\(\s*\w+)\s+from\b/gi, '')
    .replace(/\bfor (no key )?update\b/gi, '')
    .replace(/\b(do update|on update)\b/gi, '')
  const local = new Set(
    [...sql.matchAll(/\b([a-z_][a-z_0-9]*)\s*(?:\([^()]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s+)?\(/gi)].map(
      (match) => match[1],
    ),
  )
  const names = [...sql.matchAll(TABLE)]
    .map((match) => (match[1] ?? match[2])!)
    .filter((name) => !local.has(name) && !NO_TABLES.has(name))
  return [...new Set(names)]
}

/** Words that may follow `from` or `update` and are no tables. */
const NO_TABLES: ReadonlySet<string> = new Set([
  'unnest',
  'lateral',
  'select',
  'set',
  'of',
  'jsonb_array_elements',
  'generate_series',
  'skip',
  'nowait',
])
