import { loadConfig } from '@sotto/server'
import { expect, test } from 'vitest'
import { addressToPrint } from './address-to-print.ts'

test('a port that is not known yet is not printed as 0', () => {
  expect(addressToPrint(loadConfig({ SOTTO_PORT: '0' }))).toEqual({
    url: 'http://127.0.0.1:<port>',
    note: 'SOTTO_PORT is 0: `sotto serve` prints the port.',
  })
})

test('an address that is known is printed as it is', () => {
  const known = [loadConfig({}), loadConfig({ SOTTO_PORT: '0', SOTTO_PUBLIC_URL: 'https://chat.example.org' })]
  expect(known.map(addressToPrint)).toEqual([
    { url: 'http://127.0.0.1:8080', note: '' },
    { url: 'https://chat.example.org', note: '' },
  ])
})
