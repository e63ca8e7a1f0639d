import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { createOutgoing, encodeFrame } from './outgoing.ts'

// RFC 6455 §5.2 has three forms of the length; the steps between them count bytes, not characters.
const texts = [
  '',
  'a',
  'x'.repeat(125),
  'x'.repeat(126),
  'é'.repeat(63),
  '€'.repeat(200),
  'y'.repeat(65_535),
  'z'.repeat(65_536),
]

test('frames of every length reach a client whole and in order, one by one and many in one write', async () => {
  const http = createServer()
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  http.on('upgrade', (request, transport, head) =>
    server.handleUpgrade(request, transport, head, (webSocket) => {
      const outgoing = createOutgoing(webSocket, transport, {
        queueBytesMax: 1_000_000,
        onSlow: () => webSocket.terminate(),
      })
      for (const text of texts) outgoing.send(encodeFrame(text))
      setImmediate(() => {
        webSocket.ping()
        outgoing.send(encodeFrame('alone'))
        setImmediate(() => setImmediate(() => webSocket.close(1001)))
      })
    }),
  )
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  const received: string[] = []
  client.on('message', (data, isBinary) => received.push(isBinary ? 'binary' : (data as Buffer).toString('utf8')))
  const [code] = (await once(client, 'close')) as [number]
  http.close()
  expect({ received, code }).toEqual({ received: [...texts, 'alone'], code: 1001 })
})
