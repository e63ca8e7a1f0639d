import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { en } from '../messages/en.ts'

/** The generated list of what the server records: see `docs/reference/audit-actions.md`. */
const reference = readFileSync(join(import.meta.dirname, '../../../../docs/reference/audit-actions.md'), 'utf8')

function namesIn(line: string): readonly string[] {
  const lines = reference.split('\n').filter((text) => text.startsWith(`- ${line}: `))
  return [...new Set(lines.flatMap((text) => [...text.matchAll(/`([\w-]+)`/g)].map(([, name]) => String(name))))]
}

test('there are words for everything that the trail keeps of an act, and for everything it was done on', () => {
  const wanted = [
    ...namesIn('On').map((name) => `audit.type.${name}`),
    ...namesIn('Also').map((name) => `audit.detail.${name}`),
  ]
  expect(wanted.length).toBeGreaterThan(30)
  expect(wanted.filter((key) => !(key in en))).toEqual([])
})
