import { expect, test } from 'vitest'
import type { Input } from '../sync/state.ts'
import { watchDevice } from './device.ts'

function createPage(onLine = true) {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  const page = Object.assign(new EventTarget(), { navigator: { onLine }, document })
  const heard: Input[] = []
  const stop = watchDevice({ dispatch: (input) => void heard.push(input) }, page)
  return { page, document, heard, stop }
}

test('a page tells at once that the network is gone, that it is back, and that it is looked at again', () => {
  const { page, document, heard, stop } = createPage()
  page.dispatchEvent(new Event('offline'))
  page.dispatchEvent(new Event('online'))
  expect(heard.splice(0)).toEqual([
    { type: 'network', offline: true },
    { type: 'network', offline: false },
  ])
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  expect(heard).toEqual([])
  document.visibilityState = 'visible'
  document.dispatchEvent(new Event('visibilitychange'))
  document.dispatchEvent(new Event('resume'))
  page.dispatchEvent(new Event('pageshow'))
  expect(heard.splice(0)).toEqual([{ type: 'wake' }, { type: 'wake' }, { type: 'wake' }])
  stop()
  page.dispatchEvent(new Event('offline'))
  document.dispatchEvent(new Event('visibilitychange'))
  expect(heard).toEqual([])
})

test('a page that is opened without a network knows it from the start', () => {
  expect(createPage(false).heard).toEqual([{ type: 'network', offline: true }])
})

test('in Node, where nobody tells, nothing is listened to', () => {
  watchDevice({ dispatch: () => expect.unreachable() })()
})
