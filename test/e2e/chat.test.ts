/** @feature A2 A3 A8 K1 */
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { expected, forgive, setUp } from './set-up.testing.ts'
import { phone, scrollsSideways, signIn } from './stage.testing.ts'
import { banner, composer, message, patiently, say, startConversation, texts } from './steps.testing.ts'

// The page as people use it: real Chromium, a device for each person, a real server with its database.

const stage = setUp()

describe('two people chat', () => {
  test('and see what is sent, delivered and read, who types and who is there', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
    const askedForMembers: string[] = []
    for (const page of [alice, bob])
      page.on('request', (request) => {
        if (request.url().includes('/members')) askedForMembers.push(request.url())
      })
    await startConversation(alice, ['Bob the patient'])
    await bob.getByRole('link', { name: /Alice the nurse/ }).waitFor()

    await say(alice, 'How is your kidney today?')
    await expect.poll(() => message(alice, 'kidney').locator('.status').textContent(), patiently).toBe('Delivered')
    await bob.getByRole('link', { name: /1 unread message/ }).click()
    await expect.poll(() => message(alice, 'kidney').locator('.status').textContent(), patiently).toBe('Read')
    expect(await bob.getByText('Not for emergencies').isVisible()).toBe(true)
    expect(await alice.getByText('Not for emergencies').count()).toBe(0)

    await composer(bob).pressSequentially('Better')
    await alice.locator('.typing-line', { hasText: 'is writing' }).waitFor()
    await bob.getByRole('button', { name: 'Send' }).click()
    await message(alice, 'Better').waitFor()
    await expect.poll(() => alice.locator('.typing-line').textContent(), patiently).toBe('')
    await expect.poll(() => message(bob, 'Better').locator('.status').textContent(), patiently).toBe('Read')
    expect(await texts(alice)).toEqual(await texts(bob))

    await alice.locator('.conversation-header', { hasText: 'here now' }).waitFor()
    // Each is named to the other by the conversation itself.
    await bob.getByText(/Alice the nurse.* started the conversation/).waitFor()
    expect(askedForMembers).toEqual([])
    await bob.context().close()
    await alice.locator('.conversation-header', { hasText: 'not here now' }).waitFor()
    await alice.context().close()
  })

  test('and what was written without a network is sent once, in order, when it is back', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
    const place = await startConversation(alice, ['Bob the patient'])
    await bob.goto(`/${place}`)
    await composer(bob).waitFor()

    await bob.context().setOffline(true)
    await banner(bob).getByText('You are offline').waitFor()
    for (const text of ['First', 'Second', 'Third']) await say(bob, text)
    expect(await texts(bob)).toEqual(['First', 'Second', 'Third'])
    await message(bob, 'First').getByText('when you are online').waitFor()
    expect(await texts(alice)).toEqual([])

    await bob.context().setOffline(false)
    await expect.poll(() => texts(alice), patiently).toEqual(['First', 'Second', 'Third'])
    await expect.poll(() => banner(bob).count(), patiently).toBe(0)
    await expect
      .poll(() => message(bob, 'Third').locator('.status').textContent(), patiently)
      .toMatch(/Sent|Delivered|Read/)
    expect(await texts(bob)).toEqual(['First', 'Second', 'Third'])
    forgive(stage, expected.offline)
    await alice.context().close()
    await bob.context().close()
  })

  test('and a reload keeps the session and what waits to be sent', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
    const place = await startConversation(alice, ['Bob the patient'])
    await bob.goto(`/${place}`)
    await composer(bob).waitFor()

    await bob.context().setOffline(true)
    await say(bob, 'Written before the reload')
    await message(bob, 'Written before').waitFor()
    await bob.route('**/v1/**', (route) => route.abort())
    await bob.context().setOffline(false)
    await bob.reload()
    await bob.getByRole('heading', { name: 'We cannot reach the server' }).waitFor()
    await bob.unroute('**/v1/**')
    await bob.getByRole('button', { name: 'Try now' }).click()

    await message(alice, 'Written before the reload').waitFor()
    await message(bob, 'Written before the reload').waitFor()
    expect(await texts(alice)).toEqual(['Written before the reload'])
    forgive(stage, expected.offline, expected.blocked)
    await alice.context().close()
    await bob.context().close()
  })

  test('and a second device of the same person shows the same, unread numbers included', async () => {
    const alice = await stage.open('alice')
    const tablet = await stage.open('alice', phone)
    const bob = await stage.open('bob', phone)
    const place = await startConversation(alice, ['Bob the patient'])
    await alice.goto('/#/')
    await bob.goto(`/${place}`)
    await say(bob, 'For both devices')

    const row = (page: Page) => page.locator('.row', { hasText: 'For both devices' })
    await row(alice).getByText('1 unread message').waitFor()
    await row(tablet).getByText('1 unread message').waitFor()
    expect(await tablet.title()).toMatch(/^\(\d+\) Sotto$/)
    await row(tablet).click()
    await expect.poll(() => row(alice).locator('.badge').count(), patiently).toBe(0)

    await say(tablet, 'Written on the tablet')
    await row(alice)
      .or(alice.locator('.row', { hasText: 'Written on the tablet' }))
      .first()
      .click()
    await message(alice, 'Written on the tablet').locator('.status').waitFor()
    expect(await texts(alice)).toEqual(await texts(tablet))
    for (const page of [alice, tablet, bob]) await page.context().close()
  })
})

describe('a long history', () => {
  test('opens at its end, loads what is older above without a jump, and ends where it began', async () => {
    const alice = await stage.open('alice')
    const place = await startConversation(alice, ['Bob the patient'])
    const { operations, ids } = stage.server.composition
    const conversationId = place.replace('#/c/', '') as Parameters<
      typeof operations.getConversation
    >[1]['conversationId']
    await alice.goto('/#/')
    for (let number = 1; number <= 130; number += 1) {
      await operations.sendMessage(stage.clinic.bob.ctx, {
        conversationId,
        entryId: ids.next(),
        payload: { v: 1, type: 'text', text: `Number ${number}.` },
        header: { priority: 'routine', notify: 'normal' },
      })
    }
    const bob = await stage.open('bob', phone)
    await bob.goto(`/${place}`)
    await message(bob, 'Number 130.').waitFor()
    const first = async (): Promise<string | null> => await bob.locator('.bubble-text').first().textContent()
    const placeOf90 = async (): Promise<number | undefined> => (await message(bob, 'Number 90.').boundingBox())?.y

    expect(Number(/\d+/.exec((await first()) ?? '')?.[0])).toBeGreaterThan(60)
    await message(bob, 'Number 90.').scrollIntoViewIfNeeded()
    const before = await placeOf90()
    await bob.getByRole('button', { name: 'Load older messages' }).dispatchEvent('click')
    await message(bob, 'Number 50.').waitFor({ state: 'attached' })
    expect(Math.abs(((await placeOf90()) ?? 0) - (before ?? 0))).toBeLessThan(2)
    await bob.locator('.rows > li').first().scrollIntoViewIfNeeded()
    await message(bob, 'Number 1.').waitFor()
    expect(await bob.getByRole('button', { name: 'Load older messages' }).count()).toBe(0)
    expect(await texts(bob)).toEqual(Array.from({ length: 130 }, (_, index) => `Number ${index + 1}.`))
    await bob.getByRole('button', { name: 'Go to the newest message' }).click()
    await expect.poll(() => bob.locator('.jump').count(), patiently).toBe(0)

    await alice.locator('.row', { hasText: 'Number 130.' }).click()
    await alice.locator('.unread-line').waitFor()
    for (const page of [alice, bob]) await page.context().close()
  })
})

describe('a group', () => {
  test('is joined, left to the members that its manager wants, and closed', async () => {
    const alice = await stage.open('alice')
    const place = await startConversation(alice, ['Bob the patient', 'Grace the doctor'], 'Bob: kidney plan')
    const bob = await stage.open('bob', phone)
    const carmen = await stage.open('carmen', phone)
    await bob.goto(`/${place}`)
    await composer(bob).waitFor()
    await carmen.goto(`/${place}`)
    await carmen.getByRole('heading', { name: 'You cannot see this conversation' }).waitFor()

    await alice.getByRole('button', { name: 'People' }).click()
    await alice.getByRole('button', { name: 'Add people' }).click()
    await alice.getByRole('checkbox', { name: 'Carmen the patient' }).check()
    await alice.getByRole('button', { name: 'Add 1 person' }).click()
    await composer(carmen).waitFor()
    await carmen.locator('.note-line', { hasText: 'added' }).waitFor()

    await alice.getByRole('button', { name: 'Remove Carmen the patient' }).click()
    await alice.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await carmen.getByRole('heading', { name: 'You are no longer in this conversation' }).waitFor()

    await say(alice, 'See you on Monday.')
    await message(alice, 'Monday')
      .getByRole('button', { name: /Sent|Delivered|Read/ })
      .click()
    await message(alice, 'Monday')
      .getByText(/Read by .*Bob the patient/)
      .waitFor()

    await alice.getByRole('button', { name: 'Close the conversation' }).click()
    await bob.getByText('This conversation is closed').waitFor()
    expect(await composer(bob).count()).toBe(0)
    for (const page of [alice, bob, carmen]) await page.context().close()
  })
})

describe('what others write', () => {
  test('is text and nothing else, and does not break the page', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
    const place = await startConversation(alice, ['Bob the patient'])
    await bob.goto(`/${place}`)
    await composer(bob).waitFor()
    const hostile = [
      '<img src=x onerror="document.title=1"><b>bold</b>',
      'javascript:alert(1) https://example.org/kidney',
      '\u202edesrever si siht',
      `a${'\u0301\u0489'.repeat(200)}`,
      'W'.repeat(5_000),
      Array.from({ length: 80 }, (_, line) => `line ${line}`).join('\n'),
      'مرحبا kidney שלום 123',
      '🧑🏽‍⚕️'.repeat(300),
    ]
    for (const text of hostile) await say(alice, text)
    await message(bob, 'مرحبا').waitFor()
    await expect.poll(() => bob.locator('.message').count(), patiently).toBe(hostile.length)
    expect(await bob.locator('.timeline img, .timeline b, .timeline a').count()).toBe(0)
    expect(await scrollsSideways(bob)).toBe(false)
    expect(await scrollsSideways(alice)).toBe(false)
    await message(bob, 'line 3').getByRole('button', { name: 'Show all' }).click()
    expect(await message(bob, 'line 3').textContent()).toContain('line 79')

    await say(alice, '\u200b\u200d\u2060')
    await message(bob, 'This message has no text that can be shown').waitFor()
    await bob.screenshot({ path: '.cache/screenshots/hostile-360.png' })
    for (const page of [alice, bob]) await page.context().close()
  })

  test('is shown as needing a newer version when this one does not know it', async () => {
    const alice = await stage.open('alice')
    const place = await startConversation(alice, ['Bob the patient'])
    await say(alice, 'From the future')
    await say(alice, 'An ordinary one')
    const bob = await stage.openDevice(phone)
    await bob.route('**/entries?**', async (route) => {
      const response = await route.fetch()
      const text = (await response.text()).replace(
        /"payload":\{[^}]*From the future[^}]*\}/,
        '"payload":{"v":1,"type":"hologram","frames":[]}',
      )
      await route.fulfill({ response, body: text })
    })
    await bob.goto('/')
    await signIn(bob, 'bob')
    await bob.goto(`/${place}`)
    await message(bob, 'This message needs a newer version').waitFor()
    await message(bob, 'An ordinary one').waitFor()
    for (const page of [alice, bob]) await page.context().close()
  })
})
