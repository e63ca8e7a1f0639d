import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { runNode } from './run.ts'
import { root } from './suites.ts'

// The lint configuration catches what it is there for: each line is a file of the house with one thing wrong in it.
const SERVER = 'apps/server/src'
const planted: readonly (readonly [string, string, string])[] = [
  [`${SERVER}/domains/a/one.ts`, `export const x = Date.now()`, 'no-restricted-properties'],
  [`${SERVER}/domains/a/two.ts`, `export const x = Math.random()`, 'no-restricted-properties'],
  [`${SERVER}/edges/http/env.ts`, `export const x = process.env`, 'no-restricted-properties'],
  [`${SERVER}/platform/db/id.ts`, `export { randomUUID } from 'node:crypto'`, 'no-restricted-imports'],
  [`packages/sdk/src/now.ts`, `export const x = Date.now()`, 'no-restricted-properties'],
  [`${SERVER}/domains/a/edge.ts`, `export * from '../../edges/http/app.ts'`, 'no-restricted-imports'],
  [`${SERVER}/domains/a/vendor.ts`, `export * from 'fastify'`, 'no-restricted-imports'],
  [`${SERVER}/edges/http/room.ts`, `export * from '../../domains/a/two.ts'`, 'no-restricted-imports'],
  [`${SERVER}/adapters/s3/room.ts`, `export * from '../../domains/a/index.ts'`, 'no-restricted-imports'],
  [`${SERVER}/platform/db/room.ts`, `export * from '../../domains/a/index.ts'`, 'no-restricted-imports'],
  [`${SERVER}/platform/a/left.ts`, `import { r } from './right.ts'\nexport const l = (): unknown => r`, 'no-cycle'],
  [`${SERVER}/platform/a/right.ts`, `import { l } from './left.ts'\nexport const r = (): unknown => l`, 'no-cycle'],
  [`${SERVER}/main/float.ts`, `export function f() { Promise.resolve(1) }`, 'no-floating-promises'],
  [`${SERVER}/main/throw.ts`, `export function f() { throw 'no' }`, 'only-throw-error'],
]
const allowed: readonly (readonly [string, string])[] = [
  [`${SERVER}/platform/time/clock.ts`, `export const x = Date.now()`],
  [`${SERVER}/main/config.ts`, `export const x = process.env`],
  [`${SERVER}/edges/http/door.ts`, `export * from '../../domains/a/index.ts'`],
  [`${SERVER}/adapters/s3/port.ts`, `export * from '../../domains/a/scanner.port.ts'`],
  [`${SERVER}/domains/a/index.ts`, `export const x = 1`],
  [`${SERVER}/domains/a/scanner.port.ts`, `export type X = 1`],
  [`${SERVER}/domains/a/one.test.ts`, `export const x = Date.now()`],
]

test('each planted violation is found, and nothing else', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sotto-lint-'))
  try {
    const tsconfig = JSON.stringify({
      compilerOptions: { module: 'nodenext', strict: true, allowImportingTsExtensions: true, noEmit: true },
    })
    for (const [path, text] of [...planted, ...allowed, ['tsconfig.json', tsconfig] as const]) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), `${text}\n`)
    }
    const config = join(folder, '.oxlintrc.json')
    copyFileSync(join(root, '.oxlintrc.json'), config)
    const { output } = await runNode('node_modules/oxlint/bin/oxlint', [
      '-c',
      config,
      '--type-aware',
      '--format=unix',
      folder,
    ])
    const lines = output.split('\n').filter((line) => line.includes(folder) || line.includes(`${SERVER}/`))
    const found = lines.map((line) => `${/(apps|packages)\/[^:]+/.exec(line)?.[0]} ${/\(([^)]+)\)\]$/.exec(line)?.[1]}`)
    expect(found.toSorted()).toEqual(planted.map(([path, , rule]) => `${path} ${rule}`).toSorted())
  } finally {
    rmSync(folder, { recursive: true })
  }
})
