/** @feature C1 D1 K1 */
import { randomBytes } from 'node:crypto'
import type { PersonName } from '@sotto/testkit'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { readDatabases } from './in-page.ts'
import { expected, forgive, setUp } from './set-up.testing.ts'
import { inspect, phone, signIn } from './stage.testing.ts'
import { message, patiently, say, startConversation } from './steps.testing.ts'

// Who is signed in where, and what of it the compliance officer finds.

const stage = setUp()

/** How many of a person's sessions live. */
async function sessionsOf(person: PersonName): Promise<number> {
  const { ctx } = stage.clinic[person]
  return (await stage.server.composition.operations.listSessions(ctx, { limit: 200 })).items.length
}

async function cookiesOf(page: Page): Promise<readonly string[]> {
  return (await page.context().cookies(`${stage.url}/v1/sessions`)).map(({ name }) => name)
}

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
      await cora.getByLabel('Id of what it was done on').fill(place.replace('#/c/', ''))
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
    expect(reads.join()).toMatch(/Bob the patient.*read up to entry: [1-9]/)
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
    forgive(stage, expected.unauthorized)
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
    forgive(stage, expected.offline)
    await alice.context().close()
  })

  test('deletes what was never sent when the user says so, also without a network', async () => {
    const alice = await stage.open('alice')
    await startConversation(alice, ['Bob the patient'])
    await alice.context().setOffline(true)
    await say(alice, 'Never sent')
    await message(alice, 'Never sent').getByText('when you are online').waitFor()
    expect(JSON.stringify(await alice.evaluate(readDatabases))).toContain('Never sent')
    await alice.getByRole('button', { name: 'Sign out' }).click()
    await alice.getByRole('button', { name: 'Sign out and delete' }).click()
    const unheard = alice.getByRole('status').filter({ hasText: 'The server has not heard of it yet' })
    await unheard.waitFor()
    expect(await inspect(alice, 'signed-out-unheard')).toEqual([])
    expect(await alice.evaluate(readDatabases)).toEqual([])
    // One id, which opens nothing, until the server has heard.
    expect(Object.keys((await alice.evaluate('({ ...localStorage })')) as object)).toEqual([
      `sotto-signed-out ${stage.url}`,
    ])
    const before = await sessionsOf('alice')
    await alice.context().setOffline(false)
    await alice.getByText('You are signed out. Nothing is left').waitFor()
    expect(await alice.evaluate('({ ...localStorage })')).toEqual({})
    expect(await cookiesOf(alice)).not.toContain('sotto-refresh')
    expect(before - (await sessionsOf('alice'))).toBe(1)
    await alice.reload()
    await alice.getByRole('heading', { name: 'Sign in' }).waitFor()
    forgive(stage, expected.offline)
    await alice.context().close()
  })

  test('that was ended without a network is ended on the server when the page is next opened', async () => {
    const alice = await stage.open('alice', phone)
    const context = alice.context()
    await alice.getByRole('button', { name: 'Menu' }).click()
    await context.setOffline(true)
    await alice.getByRole('button', { name: 'Sign out' }).click()
    await alice.getByText('The server has not heard of it yet').waitFor()
    await alice.close()
    const before = await sessionsOf('alice')
    await context.setOffline(false)
    const again = await context.newPage()
    await again.goto('/')
    await again.getByText('You are signed out. Nothing is left').waitFor()
    expect(before - (await sessionsOf('alice'))).toBe(1)
    expect(await cookiesOf(again)).not.toContain('sotto-refresh')
    expect(await again.evaluate('({ ...localStorage })')).toEqual({})
    forgive(stage, expected.offline)
    await context.close()
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
    forgive(stage, expected.badRequest, expected.notFound)
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
    forgive(stage, expected.unauthorized)
    await device.context().close()
  })
})
