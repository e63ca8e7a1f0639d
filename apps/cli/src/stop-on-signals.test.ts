import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { SAME_SIGNAL_MS, stopOnSignals } from './stop-on-signals.ts'

function startListening() {
  const source = new EventEmitter()
  const done: string[] = []
  const clock = { ms: 50_000 }
  const stopping = stopOnSignals({
    source,
    nowMs: () => clock.ms,
    drain: () => done.push('drain'),
    stopAtOnce: () => done.push('stop at once'),
  })
  return { source, done, clock, stopping }
}

test('one Ctrl-C that arrives twice, from the terminal and from npm, drains', () => {
  const { source, done, clock, stopping } = startListening()
  expect(stopping.aborted).toBe(false)
  source.emit('SIGINT')
  source.emit('SIGINT')
  clock.ms += SAME_SIGNAL_MS - 1
  source.emit('SIGTERM')
  expect(done).toEqual(['drain'])
  expect(stopping.aborted).toBe(true)
})

test('a second Ctrl-C, after the first was read, stops at once', () => {
  const { source, done, clock } = startListening()
  source.emit('SIGINT')
  clock.ms += SAME_SIGNAL_MS
  source.emit('SIGINT')
  expect(done).toEqual(['drain', 'stop at once'])
})
