/** @feature A2 A8 K1 */
import { describe, expect, test } from 'vitest'
import type { Page, WebSocketRoute } from 'playwright-core'
import { readDatabases, tableWithoutCode } from './in-page.ts'
import { expected, forgive, setUp } from './set-up.testing.ts'
import { phone, signIn } from './stage.testing.ts'
import { composer, message, patiently, say, startConversation } from './steps.testing.ts'

// What was written and not sent, and what was sent and not seen: nothing of it goes, or is said to have been read, in silence.

const stage = setUp()

type Operations = (typeof stage)['server']['composition']['operations']
type ConversationId = Parameters<Operations['getConversation']>[1]['conversationId']

/** Alice has a message on this device that the server has refused. */
async function openWithUnsent(): Promise<Page> {
  const alice = await stage.open('alice')
  const place = await startConversation(alice, ['Bob the patient'])
  await alice.context().setOffline(true)
  await say(alice, 'Never sent')
  const conversationId = place.replace('#/c/', '') as ConversationId
  const { operations } = stage.server.composition
  await operations.updateConversation(stage.clinic.alice.ctx, { conversationId, closed: true })
  await alice.context().setOffline(false)
  await message(alice, 'Never sent').getByText('The conversation is closed').waitFor()
  return alice
}

const dialog = (page: Page) => page.getByRole('dialog')
const thisDevice = (page: Page) => page.locator('.card', { hasText: 'This device' })

describe('signing out with a message that was not sent', () => {
  test('asks first, whichever way leads to it', async () => {
    const alice = await openWithUnsent()
    const ways = {
      '#/': () => alice.locator('.app-bar').getByRole('button', { name: 'Sign out' }),
      '#/devices': () => thisDevice(alice).getByRole('button', { name: 'Sign out' }),
      '#/devices?': () => thisDevice(alice).getByRole('button', { name: 'Remove' }),
      '#/sign-in-link': () => alice.getByRole('main').getByRole('button', { name: 'Sign out' }),
    }
    for (const [place, way] of Object.entries(ways)) {
      await alice.goto(`/${place.replace('?', '')}`)
      await way().click()
      await dialog(alice).getByText('1 message was not sent yet').waitFor()
      await dialog(alice).getByRole('button', { name: 'Cancel' }).click()
      expect(JSON.stringify(await alice.evaluate(readDatabases))).toContain('Never sent')
    }
    // The last way: the one-time link.
    await ways['#/sign-in-link']().click()
    await dialog(alice).getByRole('button', { name: 'Sign out and delete' }).click()
    await alice.getByLabel('Link or code').waitFor()
    expect(await alice.evaluate(readDatabases)).toEqual([])
    forgive(stage, expected.offline, expected.conflict)
    await alice.context().close()
  })

  test('deletes it with the device, when that is what the user removes', async () => {
    const alice = await openWithUnsent()
    await alice.goto('/#/devices')
    await thisDevice(alice).getByRole('button', { name: 'Remove' }).click()
    await dialog(alice).getByRole('button', { name: 'Remove' }).click()
    await alice.getByText('You are signed out').waitFor()
    expect(await alice.evaluate(readDatabases)).toEqual([])
    forgive(stage, expected.offline, expected.conflict, expected.unauthorized)
    await alice.context().close()
  })
})

describe('a message', () => {
  test('that the device could not store is in the composer again, also after a look elsewhere', async () => {
    const alice = await stage.open('alice')
    const place = await startConversation(alice, ['Bob the patient'])
    await alice.evaluate(
      `IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError') }`,
    )
    await say(alice, 'Not to be lost')
    await alice.getByText('This device could not store the message').waitFor()
    await alice.goto('/#/')
    await alice.goto(`/${place}`)
    await expect.poll(() => composer(alice).inputValue(), patiently).toBe('Not to be lost')
    await alice.context().close()
  })

  test('that may have been sent is discarded only after the page has said so', async () => {
    const alice = await stage.openDevice()
    let isDeaf = false
    await alice.routeWebSocket(/\/v1\/socket/, (page) => {
      const server = page.connectToServer()
      page.onMessage((frame) => (isDeaf ? undefined : server.send(frame)))
    })
    await alice.goto('/')
    await signIn(alice, 'alice')
    await startConversation(alice, ['Bob the patient'])
    isDeaf = true
    await say(alice, 'Who knows')
    await expect.poll(() => message(alice, 'Who knows').locator('.status').textContent(), patiently).toBe('Sending')
    await alice.context().setOffline(true)
    const discard = message(alice, 'Who knows').getByRole('button', { name: 'Discard' })
    await discard.click()
    await dialog(alice).getByText('It may be sent already').waitFor()
    await dialog(alice).getByRole('button', { name: 'Cancel' }).click()
    await discard.click()
    await dialog(alice).getByRole('button', { name: 'Discard' }).click()
    await expect.poll(() => message(alice, 'Who knows').count(), patiently).toBe(0)
    forgive(stage, expected.offline)
    await alice.context().close()
  })

  test('that could not be loaded has not been read, although the page is open at its end', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.openDevice(phone)
    const sockets: WebSocketRoute[] = []
    let isAway = false
    await bob.routeWebSocket(/\/v1\/socket/, async (page) => {
      if (isAway) return await page.close()
      sockets.push(page, page.connectToServer())
    })
    await bob.goto('/')
    await signIn(bob, 'bob')
    const place = await startConversation(alice, ['Bob the patient'])
    await say(alice, 'Seen')
    await bob.goto(`/${place}`)
    const status = (text: string) => message(alice, text).locator('.status').textContent()
    await expect.poll(() => status('Seen'), patiently).toBe('Read')

    isAway = true
    for (const socket of sockets) await socket.close()
    for (const text of ['Missed 1', 'Missed 2', 'Missed 3']) await say(alice, text)
    await expect.poll(() => status('Missed 3'), patiently).toBe('Sent')
    expect(await bob.title()).toBe('Sotto')
    await bob.route('**/entries?**', (route) => route.abort())
    isAway = false
    await expect.poll(() => bob.title(), patiently).toBe('(3) Sotto')
    expect(await status('Missed 3')).not.toBe('Read')

    await bob.unroute('**/entries?**')
    await message(bob, 'Missed 1').waitFor()
    await expect.poll(() => status('Missed 3'), patiently).toBe('Read')
    forgive(stage, expected.blocked)
    for (const page of [alice, bob]) await page.context().close()
  })
})

test('the audit trail has words of the reader’s language, and marks what is a value of the record', async () => {
  const cora = await stage.open('cora')
  await cora.goto('/#/audit')
  await cora.getByLabel('Language').selectOption('es')
  await cora.locator('.audit-table tbody tr').first().waitFor()
  const text = String(await cora.evaluate(tableWithoutCode))
  expect(text).toMatch(/sesión|usuario|conversación/)
  expect(text).not.toMatch(/\b(session|user|conversation|socket|team|tenant)\b|[a-z][A-Z]\w*:|(true|false)\b/)
  await cora.context().close()
})
