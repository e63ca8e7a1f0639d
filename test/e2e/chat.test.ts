/** @feature A2 A3 A8 C1 D1 K1 */
import { randomBytes } from 'node:crypto'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readDatabases } from './in-page.ts'
import { desk, inspect, phone, scrollsSideways, setStage, signIn, WAIT_MS, type Stage } from './stage.testing.ts'

// The page as people use it: real Chromium, a device for each person, a real server with its database.

let stage: Stage

beforeAll(async () => {
  stage = await setStage()
}, 120_000)

afterAll(async () => {
  await stage[Symbol.asyncDispose]()
})

// No fault on any console, no request to a third party, no name and no word in a title or an address: in every test.
afterEach(async () => {
  const { faults, origins, inTheOpen } = stage.notes
  expect(faults.splice(0)).toEqual([])
  expect([...origins]).toEqual([stage.url])
  for (const text of inTheOpen) {
    expect(text).not.toMatch(/alice|bob|carmen|nurse|patient|kidney|clinic/i)
    expect(text.replace(stage.url, '')).toMatch(/^(\/?(#\/[\w/-]*)?|about:blank|(\(\d+\) )?Sotto)$/)
  }
})

const expected = {
  offline: /net::ERR_INTERNET_DISCONNECTED/,
  blocked: /net::ERR_FAILED/,
  unauthorized: /status of 401/,
  badRequest: /status of 400/,
  notFound: /status of 404/,
}

/** Asks again until the answer is the expected one. */
const patiently = { timeout: WAIT_MS }

/** Takes the faults off the list that a test has caused on purpose. */
function forgive(...patterns: readonly RegExp[]): void {
  const { faults } = stage.notes
  const others = faults.filter((text) => !patterns.some((pattern) => pattern.test(text)))
  faults.splice(0, faults.length, ...others)
}

const composer = (page: Page) => page.getByLabel('Write a message')
const message = (page: Page, text: string) => page.locator('.message', { hasText: text })
const banner = (page: Page) => page.locator('.banner')

async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** What the bubbles of one person's own words say, in the order in which they stand. */
async function texts(page: Page): Promise<readonly string[]> {
  return await page.locator('.bubble-text').allTextContents()
}

/** Alice starts a conversation on the page. @returns where it is */
async function startConversation(alice: Page, names: readonly string[], title?: string): Promise<string> {
  await alice.goto('/#/new')
  if (title !== undefined) {
    await alice.getByText('A group').click()
    await alice.getByLabel('Name of the group').fill(title)
  }
  for (const name of names) await alice.getByRole(title === undefined ? 'radio' : 'checkbox', { name }).check()
  await alice.getByRole('button', { name: 'Start' }).click()
  await composer(alice).waitFor()
  return new URL(alice.url()).hash
}

describe('two people chat', () => {
  test('and see what is sent, delivered and read, who types and who is there', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
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
    forgive(expected.offline)
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
    forgive(expected.offline, expected.blocked)
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

describe('the compliance officer', () => {
  test('finds who sent and who read, about whom, when and from where', async () => {
    const alice = await stage.open('alice')
    const bob = await stage.open('bob', phone)
    const place = await startConversation(alice, ['Bob the patient'])
    await say(alice, 'For the record')
    await bob.goto(`/${place}`)
    await message(bob, 'For the record').waitFor()
    await expect.poll(() => message(alice, 'For the record').locator('.status').textContent(), patiently).toBe('Read')

    const cora = await stage.open('cora')
    await cora.getByRole('link', { name: 'Audit trail' }).click()
    const search = async (filter: Readonly<Record<string, string>>): Promise<readonly string[]> => {
      await cora.getByRole('button', { name: 'Clear' }).click()
      for (const [label, choice] of Object.entries(filter))
        await cora.getByLabel(label, { exact: true }).selectOption({ label: choice })
      await cora.getByLabel('Id of a conversation, user or device').fill(place.replace('#/c/', ''))
      const answered = cora.waitForResponse((response) => response.url().includes('resourceId='))
      await cora.getByRole('button', { name: 'Search' }).click()
      await answered
      await cora.locator('.audit-count', { hasText: 'on this page' }).waitFor()
      return await cora.locator('.audit-table tbody tr').allTextContents()
    }
    const sends = await search({ 'Person who acted': 'Alice the nurse', Action: 'Sent a message' })
    expect(sends).toHaveLength(1)
    expect(sends[0]).toMatch(
      /Alice the nurse.*Clinician.*Sent a message.*Bob the patient.*127\.0\.0\.1.*Done.*Treatment/,
    )
    const reads = await search({ 'Person who acted': 'Bob the patient', Action: 'Marked as delivered or read' })
    expect(reads.join()).toMatch(/Bob the patient.*readSeq: [1-9]/)
    const seen = await search({ Patient: 'Bob the patient', Action: 'Began to receive messages live' })
    expect(seen.join()).toMatch(/Bob the patient/)
    expect(await search({ Patient: 'Carmen the patient' })).toEqual([])
    expect(await cora.locator('body').textContent()).not.toContain('For the record')

    await alice.goto('/#/audit')
    expect(await alice.getByRole('heading', { name: 'Audit trail' }).count()).toBe(0)
    for (const page of [alice, bob, cora]) await page.context().close()
  })
})

describe('a session', () => {
  test('ends on a device that was removed elsewhere, and the page says so', async () => {
    const alice = await stage.open('alice')
    const lost = await stage.open('alice', { ...phone, userAgent: 'Firefox/140.0 (Android 16)' })
    await alice.goto('/#/devices')
    await alice.getByRole('button', { name: 'Remove Firefox · Android' }).click()
    await alice.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await lost.getByText('Your session has ended').waitFor()
    await signIn(lost, 'alice')
    forgive(expected.unauthorized)
    await alice.context().close()
    await lost.context().close()
  })

  test('leaves nothing on the device when the user signs out', async () => {
    const alice = await stage.open('alice')
    const place = await startConversation(alice, ['Bob the patient'])
    await alice.context().setOffline(true)
    await say(alice, 'Never sent')
    await alice.getByRole('button', { name: 'Sign out' }).click()
    await alice.getByRole('dialog').getByText('1 message was not sent yet').waitFor()
    await alice.getByRole('button', { name: 'Cancel' }).click()
    await alice.context().setOffline(false)
    await expect
      .poll(() => message(alice, 'Never sent').locator('.status').textContent(), patiently)
      .toMatch(/^(Sent|Delivered)$/)

    await alice.getByRole('button', { name: 'Sign out' }).click()
    await alice.getByText('You are signed out').waitFor()
    expect(await alice.locator('body').textContent()).not.toContain('Never sent')
    expect((await alice.context().cookies(`${stage.url}/v1/`)).map(({ name }) => name)).not.toContain('sotto-refresh')
    expect(await alice.evaluate('({ ...localStorage })')).toEqual({})
    expect(await alice.evaluate(readDatabases)).toEqual([])
    await alice.goto(`/${place}`)
    await alice.reload()
    await alice.getByRole('heading', { name: 'Sign in' }).waitFor()
    forgive(expected.offline)
    await alice.context().close()
  })

  test('keeps what renews it where no script can read it', async () => {
    const alice = await stage.open('alice')
    const cookies = await alice.context().cookies(`${stage.url}/v1/sessions`)
    expect(cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }))).toContainEqual({
      name: 'sotto-refresh',
      httpOnly: true,
      sameSite: 'Strict',
    })
    expect(await alice.evaluate('document.cookie')).toBe('')
    expect(await alice.evaluate('Object.keys(localStorage)')).toEqual(['sotto-session'])
    await alice.context().close()
  })

  test('begins with a one-time link, whose secret leaves the address at once', async () => {
    const { operations, ids } = stage.server.composition
    const { ctx } = stage.clinic.ada
    const userId = ids.next<typeof ctx.userId>()
    const login = `dora-${randomBytes(4).toString('hex')}`
    await operations.createUser(ctx, { userId, login, displayName: 'Dora', role: 'patient', teamIds: [] })
    const { token } = await operations.createSignInLink(ctx, { userId })

    const dora = await stage.openDevice(phone)
    await dora.goto(`/#/sign-in-link/${token}`)
    await dora.getByRole('heading', { name: 'Set your password' }).waitFor()
    expect(dora.url()).toBe(`${stage.url}/#/sign-in-link`)
    stage.notes.inTheOpen.delete(`${stage.url}/#/sign-in-link/${token}`)
    await dora.getByLabel('New password', { exact: true }).fill('short')
    await dora.getByLabel('New password again').fill('different')
    await dora.getByRole('button', { name: 'Set password' }).click()
    await dora.getByText('are not the same').waitFor()
    await dora.getByLabel('New password again').fill('short')
    await dora.getByRole('button', { name: 'Set password' }).click()
    await dora.getByText('too short or too easy').waitFor()
    for (const label of ['New password', 'New password again'])
      await dora.getByLabel(label, { exact: true }).fill('seven lamps over the river')
    await dora.getByRole('button', { name: 'Set password' }).click()
    await dora.getByText('There are no conversations yet').first().waitFor()

    await dora.getByRole('button', { name: 'Menu' }).click()
    await dora.getByRole('button', { name: 'Sign out' }).click()
    await dora.goto(`/#/sign-in-link?token=${token}`)
    await expect.poll(() => dora.getByLabel('Link or code').inputValue(), patiently).toBe(token)
    expect(dora.url()).toBe(`${stage.url}/#/sign-in-link`)
    stage.notes.inTheOpen.delete(`${stage.url}/#/sign-in-link?token=${token}`)
    await dora.getByLabel('Link or code').fill(`${stage.url}/#/sign-in-link/${token}`)
    for (const label of ['New password', 'New password again'])
      await dora.getByLabel(label, { exact: true }).fill('seven lamps over the river')
    await dora.getByRole('button', { name: 'Set password' }).click()
    await dora.getByText('This link was used before').waitFor()
    forgive(expected.badRequest, expected.notFound)
    await dora.context().close()
  })

  test('is refused with a wrong password in words that help', async () => {
    const device = await stage.openDevice(phone)
    await device.goto('/')
    await device.getByLabel('Sign-in name').fill('carmen')
    await device.getByLabel('Password').fill('not her password')
    await device.getByLabel(/Clinic/).fill(stage.clinic.slug)
    await device.getByRole('button', { name: 'Sign in' }).click()
    await device.getByText('The sign-in name or the password is wrong').waitFor()
    await signIn(device, 'carmen')
    forgive(expected.unauthorized)
    await device.context().close()
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

describe('every screen', () => {
  test('is free of accessibility violations in both themes and at both widths', async () => {
    const found: unknown[] = []
    const alice = await stage.openDevice(desk)
    await alice.goto('/')
    await alice.getByLabel('Sign-in name').waitFor()
    found.push(...(await inspect(alice, 'sign-in')))
    await alice.goto('/#/sign-in-link')
    await alice.getByRole('heading', { name: 'Set your password' }).waitFor()
    found.push(...(await inspect(alice, 'sign-in-link')))
    await alice.goto('/#/')
    await signIn(alice, 'alice')
    await alice.locator('.row').first().waitFor()
    found.push(...(await inspect(alice, 'list')))
    await startConversation(alice, ['Bob the patient', 'Grace the doctor'], 'Kidney plan')
    await say(alice, 'A first message, so that there is something to see.')
    await say(alice, 'And a second one.')
    await message(alice, 'And a second one').getByText('Sent').waitFor()
    found.push(...(await inspect(alice, 'conversation')))
    await alice.getByRole('button', { name: 'People' }).click()
    await alice.getByRole('button', { name: 'Add people' }).click()
    await alice.getByRole('checkbox').first().waitFor()
    found.push(...(await inspect(alice, 'people')))
    await alice.getByRole('button', { name: 'Close the conversation' }).click()
    await alice.getByText('This conversation is closed').waitFor({ state: 'attached' })
    await alice.getByRole('button', { name: 'Close people' }).click()
    found.push(...(await inspect(alice, 'closed')))
    await alice.goto('/#/new')
    await alice.getByRole('radio').nth(2).waitFor()
    found.push(...(await inspect(alice, 'new-conversation')))
    await alice.goto('/#/devices')
    await alice.locator('.card').first().waitFor()
    found.push(...(await inspect(alice, 'devices')))
    await alice.context().setOffline(true)
    await banner(alice).waitFor()
    found.push(...(await inspect(alice, 'offline')))
    forgive(expected.offline)
    await alice.context().close()

    const bob = await stage.open('bob', phone)
    await bob.locator('.row').first().click()
    await composer(bob).or(bob.getByText('This conversation is closed')).first().waitFor()
    found.push(...(await inspect(bob, 'patient')))
    await bob.context().close()

    const cora = await stage.open('cora')
    await cora.goto('/#/audit')
    await cora.locator('.audit-table tbody tr').first().waitFor()
    found.push(...(await inspect(cora, 'audit')))
    await cora.context().close()
    expect(found).toEqual([])
  }, 400_000)

  test('speaks Spanish to whom the browser does, and the other language on request', async () => {
    const bob = await stage.openDevice({ ...phone, locale: 'es-MX' })
    await bob.goto('/')
    await bob.getByRole('heading', { name: 'Iniciar sesión' }).waitFor()
    expect(await bob.evaluate('document.documentElement.lang')).toBe('es')
    await bob.screenshot({ path: '.cache/screenshots/sign-in-360-es.png' })
    await bob.getByLabel('Idioma').selectOption('en')
    await bob.getByRole('heading', { name: 'Sign in' }).waitFor()
    await bob.reload()
    await bob.getByRole('heading', { name: 'Sign in' }).waitFor()
    await bob.context().close()
  })

  test('is reached and used with the keyboard alone', async () => {
    const alice = await stage.openDevice(desk)
    await alice.goto('/')
    await alice.getByLabel('Sign-in name').focus()
    await alice.keyboard.type('alice')
    await alice.keyboard.press('Tab')
    await alice.keyboard.type('velvet teapot orbit 93')
    await alice.keyboard.press('Enter')
    await alice.locator('.row').first().waitFor()
    await startConversation(alice, ['Bob the patient'])
    await alice.goto('/#/')
    await alice.locator('.row').first().focus()
    await alice.keyboard.press('Enter')
    await alice.locator('.composer-input:focus').waitFor()
    await alice.keyboard.type('Typed and sent')
    await alice.keyboard.press('Shift+Enter')
    await alice.keyboard.type('in two lines')
    await alice.keyboard.press('Enter')
    await message(alice, 'Typed and sent').waitFor()
    expect(await texts(alice)).toContain('Typed and sent\nin two lines')
    await alice.keyboard.press('Shift+Tab')
    await alice.locator('.status-button:focus, .timeline:focus').waitFor()
    await alice.getByRole('button', { name: 'People' }).focus()
    await alice.keyboard.press('Space')
    await alice.getByRole('heading', { name: 'People' }).waitFor()
    await alice.getByRole('button', { name: 'Close people' }).focus()
    await alice.keyboard.press('Enter')
    await alice.locator('button:focus', { hasText: 'People' }).waitFor()
    await alice.context().close()
  })
})
