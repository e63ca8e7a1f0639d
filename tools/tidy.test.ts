import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { rules, tidy } from './tidy.ts'
import { tablesIn } from './tidy/furniture.ts'

// Each rule catches a planted violation: a small clean house, one thing wrong in it.

const SRC = 'apps/server/src'
const manifest = (name: string, more: object = {}): string =>
  JSON.stringify({ name, license: 'Apache-2.0', version: '0.1.0', ...more })

const house: Readonly<Record<string, string>> = {
  'package.json': manifest('sotto', { devDependencies: { vitest: '5.1.1' } }),
  'packages/protocol/package.json': manifest('@sotto/protocol', { exports: { '.': './src/index.ts' } }),
  'packages/protocol/src/index.ts': `export const limits = { messageBytes: 1 }\n`,
  'apps/server/package.json': manifest('@sotto/server', {
    exports: { '.': './src/main/server.ts' },
    dependencies: { '@sotto/protocol': '0.1.0', fastify: '5.12.8', pg: '8.23.1', zod: '4.6.7' },
  }),
  'apps/server/domains.json': JSON.stringify({
    audit: { purpose: 'records', tables: ['audit_event'], imports: [] },
    messages: { purpose: 'sends', tables: ['draft'], imports: ['audit'] },
  }),
  'apps/server/db/migrations/0001_all.sql': 'create table sotto.audit_event (\n);\ncreate table draft (\n);\n',
  [`${SRC}/main/server.ts`]: `import { sendMessage } from '../domains/messages/index.ts'\nimport { app } from '../edges/http/app.ts'\nimport { clam } from '../adapters/clamav/clam.ts'\nexport const all = [sendMessage, app, clam]\n`,
  [`${SRC}/edges/http/app.ts`]: `import fastify from 'fastify'\nimport { sendMessage } from '../../domains/messages/index.ts'\nexport const app = [fastify, sendMessage]\n`,
  [`${SRC}/adapters/clamav/clam.ts`]: `import type { Scanner } from '../../domains/messages/scanner.port.ts'\nexport const clam: Scanner = { scan: () => true }\n`,
  [`${SRC}/domains/audit/README.md`]: '# audit\n',
  [`${SRC}/domains/audit/index.ts`]: `export { recordAudit } from './record-audit.ts'\n`,
  [`${SRC}/domains/audit/record-audit.ts`]: `import { insertEvent } from './audit-store.ts'\nexport const recordAudit = (tx: object) => insertEvent(tx)\n`,
  [`${SRC}/domains/audit/record-audit.test.ts`]: `import { test } from 'vitest'\ntest('records', () => {})\n`,
  [`${SRC}/domains/audit/audit-store.ts`]: `import { statement } from '../../platform/db/tx.ts'\nconst insert = statement('x', 'insert into audit_event (a) values ($1)')\nexport async function insertEvent(tx: object) { return [tx, insert] }\n`,
  [`${SRC}/domains/messages/README.md`]: '# messages\n\n[the door](index.ts), [above](#messages)\n',
  [`${SRC}/domains/messages/index.ts`]: `export { sendMessage } from './send-message.ts'\n`,
  [`${SRC}/domains/messages/scanner.port.ts`]: `export interface Scanner { scan(): boolean }\n`,
  [`${SRC}/domains/messages/send-message.ts`]: `import { recordAudit } from '../audit/index.ts'\nexport async function sendMessage(tx: object) { return recordAudit(tx) }\n`,
  [`${SRC}/domains/messages/send-message.test.ts`]: `import { test } from 'vitest'\ntest('sends', () => {})\n`,
  [`${SRC}/platform/db/tx.ts`]: `import pg from 'pg'\nimport { limits } from '@sotto/protocol'\nexport const statement = (name: string, text: string) => [name, text, pg, limits]\n`,
}

const folders: string[] = []
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })))

/** @returns the findings in the clean house with these files changed or added, as `rule path:line` */
function findings(changes: Readonly<Record<string, string>> = {}): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sotto-tidy-'))
  folders.push(folder)
  for (const [path, text] of Object.entries({ ...house, ...changes })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return tidy(folder).map(({ rule, path, line }) => `${rule} ${path}:${line}`)
}

/** A file that something uses, so that it is not also a dead one. */
const used = (path: string, text: string): Readonly<Record<string, string>> => ({
  [path]: text,
  'tools/uses.test.ts': `export const path = '${path}'\n`,
})

test('a clean house has no findings', () => {
  expect(findings()).toEqual([])
})

describe('floors', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['an edge imports another edge', `edges/fhir/app.ts`, `import '../http/app.ts'`],
    ['the gate of all edges imports one of them', `edges/gate/all.ts`, `import '../http/app.ts'`],
    ['an edge imports an adapter', `edges/http/scan.ts`, `import '../../adapters/clamav/clam.ts'`],
    ['a room imports an edge', `domains/messages/index.ts`, `import '../../edges/http/app.ts'`],
    ['a room imports an adapter', `domains/messages/index.ts`, `import '../../adapters/clamav/clam.ts'`],
    ['a room imports the HTTP framework', `domains/messages/index.ts`, `import 'fastify'`],
    ['a room opens files', `domains/messages/index.ts`, `import 'node:fs'`],
    [
      'an adapter imports a room beyond its ports',
      `adapters/clamav/clam.ts`,
      `import '../../domains/messages/index.ts'`,
    ],
    ['the platform imports a room', `platform/db/more.ts`, `import '../../domains/audit/index.ts'`],
    [
      'the server imports a sibling package by path',
      `platform/db/more.ts`,
      `import '../../../../../packages/protocol/src/index.ts'`,
    ],
  ]
  test.each(cases)('%s', (_, path, text) => {
    expect(findings(used(`${SRC}/${path}`, `${text}\n`))).toContain(`floors ${SRC}/${path}:1`)
  })
})

describe('rooms', () => {
  test('are entered by the door only', () => {
    const path = `${SRC}/edges/http/app.ts`
    const text = `import '../../domains/messages/send-message.ts'\n`
    expect(findings({ [path]: text })).toContain(`doors ${path}:1`)
  })

  test('import only the rooms of their row', () => {
    const path = `${SRC}/domains/audit/index.ts`
    const text = `export { recordAudit } from './record-audit.ts'\nimport type {} from '../messages/index.ts'\n`
    expect(findings({ [path]: text })).toEqual([`doors ${path}:2`])
  })

  test('have no cycles, no unknown neighbours, and a row each', () => {
    const row = (...imports: readonly string[]): object => ({ purpose: '', tables: [], imports })
    const table = JSON.stringify({ audit: row('messages'), messages: row('audit', 'ghosts') })
    const found = findings({
      'apps/server/domains.json': table,
      'apps/server/db/migrations/0001_all.sql': '',
      [`${SRC}/domains/audit/audit-store.ts`]: `export async function insertEvent(tx: object) { return tx }\n`,
      ...used(`${SRC}/domains/visits/visit.model.ts`, `export type Visit = string\n`),
    })
    expect(found.filter((line) => line.startsWith('rooms'))).toHaveLength(4)
  })

  test('have a README and a door', () => {
    const found = findings(used(`${SRC}/domains/messages/visit.model.ts`, `export type Visit = string\n`))
    expect(found).toEqual([])
    const table = house['apps/server/domains.json']!.replace(
      '"messages"',
      '"visits":{"tables":[],"imports":[]},"messages"',
    )
    const bare = used(`${SRC}/domains/visits/visit.model.ts`, `export type Visit = string\n`)
    expect(findings({ ...bare, 'apps/server/domains.json': table })).toEqual([
      `readmes ${SRC}/domains/visits/README.md:1`,
      `readmes ${SRC}/domains/visits/index.ts:1`,
    ])
  })
})

describe('the suffix of a file is a promise', () => {
  const promises: readonly (readonly [string, string, string])[] = [
    ['an operation carries its own name', 'send-message.ts', `export async function send(tx: object) { return tx }`],
    [
      'a store takes tx first',
      'draft-store.ts',
      `export async function insertDraft(text: string, tx: object) { return [text, tx] }`,
    ],
    ['a port is types', 'scanner.port.ts', `export const scanner = 1`],
    ['a model does no I/O', 'draft.model.ts', `import '../../platform/db/tx.ts'`],
  ]
  test.each(promises)('%s', (_, file, text) => {
    const path = `${SRC}/domains/messages/${file}`
    expect(findings(used(path, `${text}\n`))).toContain(`suffixes ${path}:1`)
  })

  test('a thing with a life is created or opened', () => {
    const path = `${SRC}/domains/messages/appender.ts`
    const files = {
      ...used(path, `export function createAppender() {}\n`),
      [`${SRC}/domains/messages/appender.test.ts`]: '',
    }
    expect(findings(files)).toEqual([])
  })

  test('an operation has its test beside it', () => {
    const path = `${SRC}/domains/messages/read-message.ts`
    const files = used(path, `export function readMessage() {}\n`)
    expect(findings(files)).toEqual([`tests beside ${path}:1`])
    const roomTest = {
      [`${SRC}/domains/messages/messages.test.ts`]: `export const x = (door: { readMessage(): void }) => door.readMessage()\n`,
    }
    expect(findings({ ...files, ...roomTest })).toEqual([])
  })
})

describe('SQL', () => {
  test('is written in stores only', () => {
    const path = `${SRC}/domains/messages/send-message.ts`
    const text = `import { statement } from '../../platform/db/tx.ts'\nexport const sendMessage = () => statement('a', 'b')\n`
    expect(findings({ [path]: text })).toContain(`sql ${path}:2`)
    const edge = `${SRC}/edges/http/app.ts`
    expect(findings({ [edge]: `import pg from 'pg'\nexport const app = pg\n` })).toContain(`sql ${edge}:1`)
  })

  test('touches the tables of its own room only', () => {
    const path = `${SRC}/domains/messages/draft-store.ts`
    const text = `import { statement } from '../../platform/db/tx.ts'\nexport const list = statement(\n  'a', 'select a from draft join audit_event using (b)')\n`
    expect(findings(used(path, text))).toEqual([`tables ${path}:3`])
  })

  test('makes no table that no room owns', () => {
    const path = 'apps/server/db/migrations/0002_more.sql'
    expect(findings({ [path]: '\n\ncreate table sotto.orphan (\n' })).toEqual([`tables ${path}:3`])
  })

  test('is read well enough to tell tables from the rest', () => {
    const sql = `with item as (select * from unnest($1::uuid[]) as t (a)), moved as materialized (
      update entry set a = 1 where b is distinct from c returning a)
      insert into sotto.member (a) select a from item join moved using (a) for update of member skip locked`
    expect(tablesIn(sql)).toEqual(['entry', 'member'])
    expect(tablesIn('a select few came from abroad')).toEqual(['abroad'])
    expect(tablesIn('update the page')).toEqual([])
  })
})

describe('the graph of files', () => {
  test('has no cycles of what runs', () => {
    const two = {
      [`${SRC}/platform/a/one.ts`]: `import './two.ts'\n`,
      [`${SRC}/platform/a/two.ts`]: `import './one.ts'\n`,
    }
    const server = { [`${SRC}/main/server.ts`]: `import '../platform/a/one.ts'\n${house[`${SRC}/main/server.ts`]}` }
    expect(findings({ ...two, ...server })).toEqual([`cycles ${SRC}/platform/a/one.ts:1`])
    const types = { ...two, [`${SRC}/platform/a/two.ts`]: `import type {} from './one.ts'\n` }
    expect(findings({ ...types, ...server })).toEqual([])
  })

  test('has no file that nothing reaches', () => {
    const path = `${SRC}/platform/a/left-over.ts`
    expect(findings({ [path]: '' })).toEqual([`dead files ${path}:1`])
    const worker = { [path]: '', 'tools/start.test.ts': `new Worker(new URL('../${path}', import.meta.url))\n` }
    expect(findings(worker)).toEqual([])
  })

  test('imports only what the manifest declares', () => {
    const path = `${SRC}/edges/http/app.ts`
    expect(findings({ [path]: `import 'koa'\nimport 'fs'\n` })).toEqual([`declared ${path}:1`, `declared ${path}:2`])
  })
})

describe('a source file', () => {
  const path = `${SRC}/platform/a/thing.ts`
  const cases: readonly (readonly [string, string])[] = [
    ['any', `export const x: any = 1`],
    ['enum', `export enum Colour { Red }`],
    ['default exports', `export default 1`],
    ['console', `console.log(1)`],
    ['ambient time', `export const x = new Date()`],
    ['file length', '\n'.repeat(501)],
    ['function length', `export function long() {\n${'  f()\n'.repeat(70)}}`],
  ]
  test.each(cases)('breaks the rule: %s', (rule, text) => {
    const found = findings(used(path, `${text}\n`))
    expect(found.map((line) => line.slice(0, line.indexOf(' apps')))).toEqual([rule])
  })

  test('may hold a long function whose parts are functions', () => {
    const part = `  function part() {\n${'    f()\n'.repeat(40)}  }\n`
    expect(findings(used(path, `export function create() {\n${part}${part}}\n`))).toEqual([])
  })

  test('has a kebab-case name', () => {
    const odd = `${SRC}/platform/a/myThing.ts`
    expect(findings(used(odd, ''))).toEqual([`file names ${odd}:1`])
  })

  test('is not a test that is focused or skipped', () => {
    const text = `import { describe, test } from 'vitest'\ntest.only('a', () => {})\ndescribe.skip('b', () => {})\n`
    expect(findings({ 'tools/a.test.ts': text })).toEqual([
      'focused tests tools/a.test.ts:2',
      'focused tests tools/a.test.ts:3',
    ])
  })
})

describe('a text', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['markers', `one\n${'TO' + 'DO'}: two`],
    ['machine paths', `one\nsee /${'ro' + 'ot'}/secrets`],
    ['registry hosts', `one\nhttps://${['registry', 'npmjs', 'org'].join('.')}/x`],
    ['links', `one\n[two](three.md)`],
    ['links', `one\n[two](#three)`],
    ['switched off', `one\n// ${'ox' + 'lint'}-disable-next-line eqeqeq`],
    ['paths', 'one\nsee `domains/messages/record-message.ts`'],
    ['paths', 'one\nsee `send-mesage.ts`'],
    ['paths', 'one\nsee `apps/console`'],
  ]
  test.each(cases)('breaks the rule: %s', (rule, text) => {
    expect(findings({ 'docs/page.md': `${text}\n` })).toEqual([`${rule} docs/page.md:2`])
  })
})

test('a document names files from the root, from a folder in between, or alone; and things that are no files', () => {
  const names = [
    'apps/server/src/domains/messages/send-message.ts',
    'domains/messages/send-message.ts',
    'send-message.ts',
    'apps/server/',
    'sdk/sync/log.ts',
    '.sotto/data/demo.json',
    'platform/unavailable',
    '*.port.ts',
    'application/problem+json',
  ]
  const sdk = used('packages/sdk/src/sync/log.ts', '')
  const page = [...names.map((name) => `\`${name}\``), '```', '`nothing.ts`', '```'].join('\n')
  expect(findings({ ...sdk, 'docs/page.md': page })).toEqual([])
})

describe('a package', () => {
  test('has the licence, exact versions, and stands on what it may', () => {
    const more = { license: 'MIT', dependencies: { zod: '^4.6.7', '@sotto/server': '0.1.0' } }
    const path = 'packages/protocol/package.json'
    expect(findings({ [path]: manifest('@sotto/protocol', { exports: './src/index.ts', ...more }) })).toEqual([
      `licence of packages ${path}:1`,
      `exact pins ${path}:1`,
      `packages ${path}:1`,
    ])
  })
})

describe('the root', () => {
  const root = (more: object): string => manifest('sotto', { devDependencies: { vitest: '5.1.1' }, ...more })
  const lock = JSON.stringify({ packages: { 'node_modules/a/node_modules/@b/c': { hasInstallScript: true } } })

  test('says of every package with an install script that it is not needed', () => {
    expect(findings({ 'package-lock.json': lock })).toEqual(['install scripts package.json:1'])
    expect(findings({ 'package-lock.json': lock, 'package.json': root({ allowScripts: { '@b/c': false } }) })).toEqual(
      [],
    )
    expect(findings({ 'package-lock.json': lock, 'package.json': root({ allowScripts: { '@b/c': true } }) })).toEqual([
      'install scripts package.json:1',
      'install scripts package.json:1',
    ])
  })

  test('sets up before each of its scripts', () => {
    const scripts = { setup: 'node tools/setup.mjs', types: 'tsc' }
    expect(findings({ 'package.json': root({ scripts }) })).toEqual(['set-up first package.json:1'])
    const both = { ...scripts, pretypes: 'node tools/setup.mjs --packages' }
    expect(findings({ 'package.json': root({ scripts: both }) })).toEqual([])
  })
})

test('every rule is caught by a test above', async () => {
  const { readFileSync } = await import('node:fs')
  const text = readFileSync(import.meta.filename, 'utf8')
  expect(
    rules.map(({ name }) => name).filter((name) => !text.includes(`'${name}'`) && !text.includes(`${name} `)),
  ).toEqual([])
})
