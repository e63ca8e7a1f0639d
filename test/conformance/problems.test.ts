/** @feature J1 */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  operations,
  problemCatalogue,
  socketCommands,
  type Command,
  type Operation,
  type ProblemCode,
} from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import { allowedCodes } from './kit/documents.ts'

const root = join(import.meta.dirname, '../..')
const codes = Object.keys(problemCatalogue) as ProblemCode[]

/** Sources of the server without their comments: a code that is only written about is thrown by nobody. */
const sources = globSync('apps/server/src/**/*.ts', { cwd: root })
  .filter((path) => !/\.(test|testing|fixture)\.ts$/.test(path))
  .map((path) => readFileSync(join(root, path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
const quoted = new Set(sources.flatMap((text) => [...text.matchAll(/'([a-z]+\/[a-z-]+)'/g)].map((match) => match[1]!)))
const rooms = new Set(codes.map((code) => code.split('/')[0]!))

describe('the catalogue', () => {
  test('has no code that nobody throws', () => {
    expect(codes.filter((code) => !quoted.has(code))).toEqual([])
  })

  test('has every code that is thrown', () => {
    const thrown = sources.flatMap((text) => [...text.matchAll(/\bproblem\(\s*'([^']+)'/g)].map((match) => match[1]!))
    expect(thrown.length).toBeGreaterThan(50)
    expect(thrown.filter((code) => !(code in problemCatalogue))).toEqual([])
  })

  test.for(codes)('%s has a status, a title and advice that a reader can act upon', (code) => {
    const { status, title, retry, advice } = problemCatalogue[code]
    expect(code).toMatch(/^[a-z]+\/[a-z]+(-[a-z]+)*$/)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(title).toMatch(/^[A-Z][^.]{8,80}$/)
    expect(advice).toMatch(/^[A-Z`].{8,160}\.$/)
    // RFC 9110 §15: what is said to be the client's mistake is not cured by waiting, except where there was too much of it.
    if (retry === 'after-delay') expect([429, 500, 503]).toContain(status)
    if (status === 401 && code !== 'identity/sign-in-failed') expect(retry).toBe('after-reauth')
  })

  test('is divided among the rooms and edges that throw', () => {
    expect([...rooms].toSorted()).toEqual([
      'access',
      'conversations',
      'identity',
      'keys',
      'messages',
      'platform',
      'socket',
    ])
  })
})

describe('the contract', () => {
  const listed = [...(Object.values(operations) as Operation[]), ...(Object.values(socketCommands) as Command[])]

  test('lists each code of an operation once, and none that all have', () => {
    const common = [...allowedCodes('getLimits')]
    for (const { problems } of listed) {
      expect(new Set(problems).size).toBe(problems.length)
      expect(problems.filter((code) => common.includes(code))).toEqual([])
    }
  })

  test('says of every code where it can be met', () => {
    /** Codes of the way in and of the command line, which belong to no operation. */
    const elsewhere: readonly ProblemCode[] = [
      'platform/not-found',
      'platform/method-not-allowed',
      'identity/ticket-invalid',
      'identity/slug-taken',
      'socket/unknown-command',
    ]
    const met = new Set<string>(elsewhere)
    for (const name of [...Object.keys(operations), ...Object.keys(socketCommands)])
      for (const code of allowedCodes(name)) met.add(code)
    expect(codes.filter((code) => !met.has(code))).toEqual([])
  })

  test('lists what the doc comment of an operation says that it throws', () => {
    const wrong: string[] = []
    for (const operation of Object.values(operations) as Operation[]) {
      const file = operation.operationId.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      const [path] = globSync(`apps/server/src/domains/*/${file}.ts`, { cwd: root })
      if (path === undefined) continue
      for (const code of throwsOf(readFileSync(join(root, path), 'utf8'), operation.operationId))
        if (!allowedCodes(operation.operationId).has(code)) wrong.push(`${operation.operationId} throws ${code}`)
    }
    expect(wrong).toEqual([])
  })
})

/** The codes that the `@throws` of a function's doc comment names. */
function throwsOf(text: string, name: string): readonly string[] {
  const comment =
    new RegExp(String.raw`/\*\*((?:(?!\*/)[\s\S])*)\*/\s*export (?:async )?function ${name}\b`).exec(text)?.[1] ?? ''
  const clause = /@throws([\s\S]*?)(?=\n\s*\* @|$)/.exec(comment)?.[1] ?? ''
  return [...clause.matchAll(/[a-z]+\/[a-z-]+/g)].map(([code]) => code).filter((code) => rooms.has(code.split('/')[0]!))
}
