import { expect, test } from 'vitest'
import { isPermissive, productionPaths, type Lock } from './licences.ts'

test('an OR needs one permissive side, an AND needs both', () => {
  expect(['MIT', '(MIT OR GPL-3.0)', 'MIT AND ISC'].map(isPermissive)).toEqual([true, true, true])
  expect(['GPL-3.0', 'MIT AND GPL-2.0', 'SEE LICENSE IN x', ''].map(isPermissive)).toEqual([false, false, false, false])
})

test('what ships is what the workspaces need in production, nested versions included', () => {
  const lock: Lock = {
    '': {},
    'apps/server': { dependencies: { a: '1', '@sotto/protocol': '1' } },
    'packages/protocol': { dependencies: { '@s/c': '1' } },
    'node_modules/@sotto/protocol': { link: true, resolved: 'packages/protocol' },
    'node_modules/a': { dependencies: { b: '2' } },
    'node_modules/a/node_modules/b': { dependencies: { d: '1' } },
    'node_modules/b': {},
    'node_modules/@s/c': { optionalDependencies: { 'not-here': '1' } },
    'node_modules/d': {},
    'node_modules/only-for-development': {},
  }
  expect(productionPaths(lock)).toEqual([
    'node_modules/@s/c',
    'node_modules/a',
    'node_modules/a/node_modules/b',
    'node_modules/d',
  ])
})
