import { expect, test } from 'vitest'
import { createLog } from '../../platform/log/log.ts'
import { createEndings } from './endings.ts'

test('what could not be written is kept in its order, and written once when the database is back', async () => {
  const endings = createEndings(createLog({ level: 'silent' }))
  const written: number[] = []
  let isGone = true
  for (const id of [1, 2, 3])
    endings.record(async () => {
      if (isGone) throw new Error('gone')
      written.push(id)
    })
  await endings.idle()
  await endings.retry()
  expect(written).toEqual([])
  isGone = false
  await endings.retry()
  expect(written.toSorted((a, b) => a - b)).toEqual([1, 2, 3])
  await endings.retry()
  expect(written).toHaveLength(3)
})
