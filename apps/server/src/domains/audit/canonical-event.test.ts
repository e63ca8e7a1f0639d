import type { AuditEvent } from '@sotto/protocol'
import { canonicalize } from '@sotto/transparency'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalEvent } from './canonical-event.ts'

const text = fc.oneof(
  fc.uuid(),
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('\\ud800', '\\\\udfff', '"', '\u2028', '__proto__'),
)
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
const event = fc.record({
  auditEventId: fc.uuid(),
  at: text,
  action: text,
  outcome: text,
  code: nullable(text),
  actor: fc.record({
    userId: nullable(text),
    role: nullable(text),
    deviceId: nullable(text),
    sessionId: nullable(text),
    address: nullable(text),
  }),
  resource: nullable(fc.record({ type: text, id: text })),
  subjectUserId: nullable(text),
  purpose: text,
  requestId: text,
  count: fc.integer({ min: 1 }),
  details: fc.dictionary(
    fc.oneof(text, fc.constantFrom('10', '9', 'a', 'A')),
    fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text)),
  ),
})

test('an event has the text that canonical JSON gives it', () => {
  fc.assert(
    fc.property(event, (any) => {
      expect(canonicalEvent(any as unknown as AuditEvent)).toBe(canonicalize(any as never))
    }),
    { numRuns: 2_000 },
  )
})

test('what canonical JSON refuses is refused in an event, wherever it stands', () => {
  const nobody = { userId: null, role: null, deviceId: null, sessionId: null, address: null }
  const good = {
    auditEventId: 'a',
    at: 'b',
    action: 'message.send',
    outcome: 'success',
    code: null,
    actor: nobody,
    resource: null,
    subjectUserId: null,
    purpose: 'TREAT',
    requestId: 'c',
    count: 1,
    details: {},
  }
  expect(canonicalEvent(good as never)).toBe(canonicalize(good))
  for (const bad of [
    { requestId: 'a\ud800' },
    { resource: { type: 'conversation', id: '\udfff' } },
    { details: { why: '\ud800' } },
    { details: { seq: 1.5 } },
    { count: 1.5 },
    { count: 2 ** 53 },
  ])
    expect(() => canonicalEvent({ ...good, ...bad } as never), JSON.stringify(bad)).toThrow(TypeError)
})
