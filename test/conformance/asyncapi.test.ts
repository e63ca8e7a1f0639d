/** @feature J1 @control OWASP API9 */
import { closeCodes, frameSchemas, renderAsyncApi, socketCommands } from '@sotto/protocol'
import { Parser } from '@asyncapi/parser'
import { expect, test } from 'vitest'

const document = renderAsyncApi({ version: '1.2.3' })

test('the socket protocol is a valid AsyncAPI 3.0 document', async () => {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document))
  const said = diagnostics.map(({ severity, message, path }) => `${severity} ${path.join('/')}: ${message}`)
  // 0 is an error; the others are advice.
  expect(said.filter((line) => line.startsWith('0'))).toEqual([])
})

test('it has every command, every reply and every frame, and nothing else', () => {
  const { messages } = (document as { channels: { socket: { messages: Record<string, unknown> } } }).channels.socket
  const commands = Object.keys(socketCommands).flatMap((op) => [`command.${op}`, `reply.${op}`])
  const frames = Object.keys(frameSchemas).filter((op) => op !== 'reply')
  expect(Object.keys(messages).toSorted()).toEqual([...commands, ...frames.map((op) => `frame.${op}`)].toSorted())
})

test('it says of every close code what it means and what the client does', () => {
  const { description } = document['info'] as { description: string }
  for (const [code, { meaning, then }] of Object.entries(closeCodes)) {
    expect(description).toContain(`${code}: ${meaning}`)
    expect(description).toContain(then)
  }
})
