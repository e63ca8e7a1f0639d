import { expect, test } from 'vitest'
import { createFraming } from './wire-framing.ts'

function startUp(): Buffer {
  const packet = Buffer.alloc(12)
  packet.writeInt32BE(12, 0)
  packet.writeInt32BE(196_608, 4)
  return packet
}

function message(type: string, body: string): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, Buffer.from(body)])
}

const stream = Buffer.concat([startUp(), message('Q', 'select 1\0'), message('S', ''), message('X', '')])

test('the start-up packet stands alone, and what follows in one piece comes out in one piece', () => {
  const pieces = createFraming().push(stream)
  expect(pieces.map((piece) => piece.length)).toEqual([12, stream.length - 12])
})

test('wherever the stream is cut, the same whole messages come out', () => {
  for (let cut = 1; cut < stream.length; cut++) {
    const framing = createFraming()
    const pieces = [...framing.push(stream.subarray(0, cut)), ...framing.push(stream.subarray(cut))]
    expect(Buffer.concat(pieces)).toEqual(stream)
  }
})

test('byte by byte, each message comes out when it is complete and not before', () => {
  const framing = createFraming()
  const lengths = [...stream].map((byte) => framing.push(Uint8Array.of(byte)).map((piece) => piece.length)).flat()
  expect(lengths).toEqual([12, 14, 5, 5])
})

test('a request that has no meaning in one process is refused', () => {
  const cancel = startUp()
  cancel.writeInt32BE(80_877_102, 4)
  expect(() => createFraming().push(cancel)).toThrow('Not spoken')
})
