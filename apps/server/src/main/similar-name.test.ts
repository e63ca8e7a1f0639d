import { expect, test } from 'vitest'
import { similarName } from './similar-name.ts'

test('a slip is recognised, another word is not', () => {
  const known = ['SOTTO_PORT', 'SOTTO_HOST', 'SOTTO_DATA_DIR']
  expect(similarName('SOTTO_PROT', known)).toBe('SOTTO_PORT')
  expect(similarName('SOTTO_DATADIR', known)).toBe('SOTTO_DATA_DIR')
  expect(similarName('SOTTO_COLOUR_OF_THE_SKY', known)).toBeUndefined()
})
