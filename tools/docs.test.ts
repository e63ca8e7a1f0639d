import { expect, test } from 'vitest'
import { codeBlocks } from './docs.ts'

test('blocks marked ts are found with the line they begin on, others are left', () => {
  const page = ['# Title', '```text', 'no code', '```', '```ts', 'const x = 1', '```', ''].join('\n')
  expect(codeBlocks(page)).toEqual([{ line: 6, code: 'const x = 1\n' }])
})
