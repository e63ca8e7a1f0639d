import { expect, test } from 'vitest'
import { createBoundedMap } from './bounded-map.ts'

test('forgets what was used longest ago', () => {
  const map = createBoundedMap<number>(2)
  map.set('a', 1)
  map.set('b', 2)
  expect(map.get('a')).toBe(1)
  map.set('c', 3)
  expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2])
})

test('setting again replaces and counts as use', () => {
  const map = createBoundedMap<number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.set('a', 3)
  map.set('c', 4)
  expect([map.get('a'), map.get('b')]).toEqual([3, undefined])
})

test('deletes by key and by what an entry is', () => {
  const map = createBoundedMap<number>(9)
  for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) map.set(key, index)
  map.delete('a')
  map.deleteWhere((value, key) => value === 1 || key === 'c')
  expect([map.get('a'), map.get('b'), map.get('c'), map.get('d')]).toEqual([undefined, undefined, undefined, 3])
})
