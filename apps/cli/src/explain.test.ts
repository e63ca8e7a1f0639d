import { createServer } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { CommandRefused, explain } from './explain.ts'

test('what an operator can mend is told without a stack', () => {
  expect(explain(new CommandRefused('There is no tenant north.'))).toBe('sotto: There is no tenant north.')
  expect(explain(new Error('The database is empty. Run `sotto init`.'))).toBe(
    'sotto: The database is empty. Run `sotto init`.',
  )
  expect(explain(Object.assign(new Error('write'), { code: 'ENOSPC' }))).toContain('The disk is full')
})

test('a port in use is named', async () => {
  const first = createServer().listen(0, '127.0.0.1')
  await once(first, 'listening')
  const { port } = first.address() as { readonly port: number }
  const second = createServer().listen(port, '127.0.0.1')
  const [error] = (await once(second, 'error')) as [Error]
  expect(explain(error)).toBe(
    `sotto: Port ${port} is in use. Stop what listens there, or choose another with SOTTO_PORT (0 takes a free one).`,
  )
  first.close()
})

test('a host name that leads nowhere is told by the name of its setting', async () => {
  const server = createServer().listen(0, 'no-such-host.invalid')
  const [error] = (await once(server, 'error')) as [Error]
  expect(explain(error)).toBe('sotto: SOTTO_HOST (no-such-host.invalid) is a name that leads to no address.')
})

test('a mistake of ours shows where it happened', () => {
  expect(explain(new TypeError('x is undefined'))).toMatch(/TypeError: x is undefined\n\s+at /)
})
