import { expect, test } from 'vitest'
import { isOriginAllowed } from './origins.ts'

const allowed = ['https://portal.example.org']

test.for([
  ['no origin: not a page', undefined, 'chat.example.org', true],
  ['the page of this server', 'https://chat.example.org', 'chat.example.org', true],
  ['the page of this server on its port', 'http://127.0.0.1:8080', '127.0.0.1:8080', true],
  ['a host written in capitals', 'https://chat.example.org', 'CHAT.example.org', true],
  ['an allowed page', 'https://portal.example.org', 'chat.example.org', true],
  ['a page of nowhere (sandboxed, or a file)', 'null', 'null', false],
  ['another port', 'http://127.0.0.1:9090', '127.0.0.1:8080', false],
  ['a longer name', 'https://chat.example.org.evil.example', 'chat.example.org', false],
  ['a shorter name', 'https://example.org', 'chat.example.org', false],
  ['an allowed name with another scheme', 'http://portal.example.org', 'chat.example.org', false],
  ['no host', 'https://chat.example.org', undefined, false],
  ['nonsense', 'chat.example.org', 'chat.example.org', false],
  ['nothing', '', 'chat.example.org', false],
] as const)('%s', ([, origin, host, verdict]) => {
  expect(isOriginAllowed(origin, host, allowed)).toBe(verdict)
})
