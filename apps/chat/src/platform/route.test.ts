import { expect, test } from 'vitest'
import { parseLinkAddress, parsePastedLink } from './link-token.ts'
import { parseRoute, renderRoute, type Route } from './route.ts'

const conversationId = '01a2024a-ba5f-7af0-b272-f6ab9402bf3c'
const routes: readonly Route[] = [
  { page: 'conversations' },
  { page: 'conversation', conversationId, people: false },
  { page: 'conversation', conversationId, people: true },
  { page: 'new' },
  { page: 'devices' },
  { page: 'audit' },
  { page: 'sign-in-link' },
]

test('every place has an address that leads back to it', () => {
  for (const route of routes) expect(parseRoute(renderRoute(route))).toEqual(route)
})

test('an address that leads nowhere leads to the list', () => {
  for (const hash of ['', '#', '#/', '#/c/', '#/c/bob', '#/c/../../v1', '#/nowhere', '#/constructor'])
    expect(parseRoute(hash)).toEqual({ page: 'conversations' })
})

test('the secret of a link is found in each form in which it is given', () => {
  const token = 'kJ3-_s9Qx7'
  for (const hash of [`#/sign-in-link/${token}`, `#/sign-in-link?token=${token}`, `#/sign-in-link#${token}`])
    expect(parseLinkAddress(hash)).toBe(token)
  expect(parseLinkAddress('#/sign-in-link')).toBeUndefined()
  expect(parseLinkAddress('#/c/kJ3-_s9Qx7')).toBeUndefined()
  expect(parseLinkAddress('#/sign-in-link/%E0%A4%A')).toBe('%E0%A4%A')
  expect(parsePastedLink(` https://chat.example.org/#/sign-in-link/${token}\n`)).toBe(token)
  expect(parsePastedLink(` ${token} `)).toBe(token)
})
