import { expect, test } from 'vitest'
import { createTurns } from './turns.ts'

function open() {
  const done: string[] = []
  const errors: unknown[] = []
  const turns = createTurns<string>((error) => void errors.push(error))
  const tell = async (items: readonly string[]) => void done.push(items.join('+'))
  const act = (name: string) => async () => {
    await Promise.resolve()
    done.push(name)
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { done, errors, turns, tell, act, settled }
}

test('items that follow one another go together, and never past what came between them', async () => {
  const { done, turns, tell, act, settled } = open()
  turns.join('ward', 'a', tell)
  turns.join('ward', 'b', tell)
  turns.take('ward', act('a cursor'))
  turns.join('ward', 'c', tell)
  turns.join('ward', 'd', tell)
  turns.take('ward', act('a title'))
  await settled()
  expect(done).toEqual(['a+b', 'a cursor', 'c+d', 'a title'])
})

test('keys do not wait for one another, and who comes when a turn has begun has the next one', async () => {
  const { done, turns, tell, settled } = open()
  const { promise, resolve } = Promise.withResolvers<void>()
  turns.join('ward', 'a', async (items) => {
    await promise
    await tell(items)
  })
  await Promise.resolve()
  turns.join('ward', 'b', tell)
  turns.join('clinic', 'c', tell)
  await settled()
  expect(done).toEqual(['c'])
  resolve()
  await settled()
  expect(done).toEqual(['c', 'a', 'b'])
})

test('one that fails is told of and takes nobody with it', async () => {
  const { done, errors, turns, act, settled } = open()
  const failure = new Error('it cannot be opened')
  turns.take('ward', () => Promise.reject(failure))
  turns.take('ward', act('the next'))
  await settled()
  expect([done, errors]).toEqual([['the next'], [failure]])
})
