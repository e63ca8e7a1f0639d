import { startTestServer, TEST_PASSWORD, type Person, type TestServer } from '@sotto/testkit'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import type * as Sdk from './src/index.ts'
import { alice, bob, place } from './test-support/people.testing.ts'
import { problem } from './test-support/peer.testing.ts'
import { startPeerServer } from './test-support/peer-server.testing.ts'
import { chromiumPath, openBrowserHouse, type BrowserHouse } from './test-support/chromium.testing.ts'

declare global {
  interface Window {
    sdk: typeof Sdk
    sotto: Sdk.Sotto
    session: Sdk.Session
  }
}

const ward = place(1)

describe.skipIf(chromiumPath === undefined)('in Chromium', { timeout: 120_000 }, () => {
  async function openTab(house: BrowserHouse): Promise<Page> {
    const page = await house.context.newPage()
    await page.goto(house.url)
    await page.waitForFunction(() => window.sdk !== undefined)
    return page
  }

  const connectTab = (page: Page, userId: string): Promise<void> =>
    page.evaluate(async (user) => {
      window.sotto = window.sdk.connect({ url: '', userId: user, getToken: async () => user })
      await window.sotto.ready
    }, userId)

  test('IndexedDB keeps what every store promises', async () => {
    await using server = await startPeerServer()
    await using house = await openBrowserHouse(server.url)
    const page = await openTab(house)
    const found = await page.evaluate(async () => {
      const storage = window.sdk.indexedDbStorage()
      const [mine, theirs] = [await storage.open('alice'), await storage.open('bob')]
      await mine.write([
        { key: 'outbox/2', value: { text: 'second' } },
        { key: 'outbox/1', value: { text: 'first' } },
        { key: 'sync/token', value: 'abc' },
      ])
      await theirs.write([{ key: 'outbox/1', value: 'theirs' }])
      await mine.write([{ key: 'outbox/2', value: undefined }])
      const listed = await mine.list('outbox/')
      const token = await mine.get('sync/token')
      await mine.clear()
      return { listed, token, cleared: await mine.list(''), theirs: await theirs.list('') }
    })
    expect(found).toEqual({
      listed: [['outbox/1', { text: 'first' }]],
      token: 'abc',
      cleared: [],
      theirs: [['outbox/1', 'theirs']],
    })
  })

  test('a list of IndexedDB is of one moment, whatever is written meanwhile', async () => {
    await using server = await startPeerServer()
    await using house = await openBrowserHouse(server.url)
    const page = await openTab(house)
    const found = await page.evaluate(async () => {
      const store = await window.sdk.indexedDbStorage().open('alice')
      const write = (one: unknown, two: unknown): Promise<void> =>
        store.write([
          { key: 'outbox/1', value: one },
          { key: 'outbox/2', value: two },
        ])
      await write('one', 'two')
      const listing = store.list('outbox/')
      const writing = write(undefined, 'another two')
      const before = await listing
      await writing
      return { before, after: await store.list('outbox/') }
    })
    const before = [
      ['outbox/1', 'one'],
      ['outbox/2', 'two'],
    ]
    expect(found).toEqual({ before, after: [['outbox/2', 'another two']] })
  })

  test('a message written without a network survives a reload, and goes once when there is one', async () => {
    await using server = await startPeerServer()
    server.peer.createConversation(ward, [alice, bob])
    await using house = await openBrowserHouse(server.url)
    const page = await openTab(house)
    await connectTab(page, alice)
    await house.context.setOffline(true)
    server.closeSockets(1001)
    await page.evaluate(async (id) => void (await window.sotto.conversation(id).send('Written in the lift')), ward)
    expect(await page.evaluate(() => window.sotto.outbox.getSnapshot().waiting)).toBe(1)
    await house.context.setOffline(false)
    await page.reload()
    await page.waitForFunction(() => window.sdk !== undefined)
    await connectTab(page, alice)
    await page.waitForFunction(() => window.sotto.outbox.getSnapshot().waiting === 0)
    const sent = server.peer.log(ward).filter(({ kind }) => kind === 'application')
    expect(sent.map(({ payload }) => payload)).toEqual([{ v: 1, type: 'text', text: 'Written in the lift' }])
  })

  test('a page knows at once that it has no network, although its socket seems open, and is back as fast', async () => {
    await using server = await startPeerServer()
    server.peer.createConversation(ward, [alice, bob])
    await using house = await openBrowserHouse(server.url)
    const page = await openTab(house)
    await connectTab(page, alice)
    // Within a second: the heartbeat would take a minute.
    const soon = { timeout: 1_000 }
    const becomes = (status: string, options: { readonly timeout: number }) =>
      page.waitForFunction((wanted) => window.sotto.connection.getSnapshot().status === wanted, status, options)
    await house.context.setOffline(true)
    await becomes('offline', soon)
    await page.evaluate(async (id) => void (await window.sotto.conversation(id).send('In the tunnel')), ward)
    await house.context.setOffline(false)
    await becomes('online', { timeout: 5_000 })
    await page.waitForFunction(() => window.sotto.outbox.getSnapshot().waiting === 0)
    const texts = server.peer.log(ward).flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))
    expect(texts).toEqual(['In the tunnel'])
  })

  test('one tab sends for all, and the next one takes over when it is closed', async () => {
    await using server = await startPeerServer()
    server.peer.createConversation(ward, [alice, bob])
    await using house = await openBrowserHouse(server.url)
    const [first, second] = [await openTab(house), await openTab(house)]
    await connectTab(first, alice)
    await connectTab(second, alice)
    await second.evaluate(async (id) => {
      const { acknowledged } = await window.sotto.conversation(id).send('Handed over')
      await acknowledged
    }, ward)
    expect(server.seen.filter((name) => name === 'message.send')).toHaveLength(1)

    // The first tab is told to wait, and is closed while it does.
    server.refuseNext('message.send', problem('platform/unavailable', 503, { retryAfterMs: 600_000 }))
    await first.evaluate(async (id) => {
      for (const text of ['one', 'two', 'three']) await window.sotto.conversation(id).send(text)
    }, ward)
    await second.waitForFunction(() => window.sotto.outbox.getSnapshot().waiting > 0)
    await first.close()
    await second.waitForFunction(() => window.sotto.outbox.getSnapshot().waiting === 0, undefined, { timeout: 60_000 })
    const texts = server.peer.log(ward).flatMap(({ payload }) => (payload.type === 'text' ? [payload.text] : []))
    expect(texts).toEqual(['Handed over', 'one', 'two', 'three'])
  })

  test('a page signs in with a cookie, resumes after a reload, shares one refresh between tabs, and signs out in all', async () => {
    await using server = await startTestServer('pglite')
    const clinic = await server.createClinic()
    await using house = await openBrowserHouse(server.url)
    const page = await openTab(house)
    const signedIn = await page.evaluate(
      async ([tenant, login, password]) => {
        window.session = await window.sdk.signIn({ url: '', tenant, login, password, deviceName: 'Chromium' })
        window.sotto = window.sdk.connect(window.session)
        await window.sotto.ready
        return { userId: window.session.userId, cookies: document.cookie }
      },
      [clinic.slug, clinic.alice.login, TEST_PASSWORD] as const,
    )
    expect(signedIn).toEqual({ userId: clinic.alice.userId, cookies: '' })

    const resume = async (tab: Page): Promise<string> =>
      await tab.evaluate(async () => {
        window.session = await window.sdk.resumeSession({ url: '' })
        window.sotto = window.sdk.connect(window.session)
        await window.sotto.ready
        return window.session.userId
      })
    await page.reload()
    await page.waitForFunction(() => window.sdk !== undefined)
    const other = await openTab(house)
    expect(await Promise.all([resume(page), resume(other)])).toEqual([clinic.alice.userId, clinic.alice.userId])

    const refreshes: string[] = []
    house.context.on('request', (request) => void (request.url().endsWith('/refresh') && refreshes.push(request.url())))
    const refresh = (tab: Page): Promise<void> =>
      tab.evaluate(async () => void (await window.session.getToken(await window.session.getToken())))
    await Promise.all([refresh(page), refresh(other)])
    expect(refreshes.length).toBeLessThanOrEqual(2)
    expect(refreshes.length).toBeGreaterThanOrEqual(1)

    await page.evaluate(() => window.sotto.signOut())
    await other.waitForFunction(() => window.sotto.connection.getSnapshot().status === 'ended')
    await other.waitForFunction(() => window.session.ended !== null)
    const left = await page.evaluate(async () => ({
      databases: (
        await (await window.sdk.indexedDbStorage().open(`${location.origin} ${window.session.userId}`)).list('')
      ).length,
      local: localStorage.length,
    }))
    expect(left).toEqual({ databases: 0, local: 0 })
  })

  describe('a sign-out without a network', () => {
    const enter = (page: Page, tenant: string, login: string): Promise<string> =>
      page.evaluate(
        async ([slug, name, password]) => {
          const who = { tenant: slug, login: name, password, deviceName: 'Chromium' }
          window.session = await window.sdk.signIn({ url: '', ...who })
          return window.session.sessionId
        },
        [tenant, login, TEST_PASSWORD] as const,
      )
    const resumed = (page: Page): Promise<string> =>
      page.evaluate(async () => {
        const problemOf = (error: unknown) => (error as Sdk.SottoProblem).code
        return await window.sdk.resumeSession({ url: '' }).then(({ sessionId }) => sessionId, problemOf)
      })
    const noted = (page: Page): Promise<Record<string, string>> =>
      page.evaluate(() => Object.fromEntries(Object.entries(localStorage) as [string, string][]))

    async function liveSessions(server: TestServer, who: Person): Promise<readonly string[]> {
      const { items } = await server.composition.operations.listSessions(who.ctx, { limit: 200 })
      return items.map(({ sessionId }) => sessionId)
    }

    test('is over here at once, and on the server as soon as there is one', async () => {
      await using server = await startTestServer('pglite')
      const { slug, alice: nurse } = await server.createClinic()
      await using house = await openBrowserHouse(server.url)
      const page = await openTab(house)
      const sessionId = await enter(page, slug, nurse.login)
      await house.context.setOffline(true)
      await page.evaluate(() => window.session.signOut())
      expect(await page.evaluate(() => window.session.ended?.code)).toBe('sdk/signed-out')
      expect(Object.values(await noted(page))).toEqual([sessionId])
      expect(await liveSessions(server, nurse)).toContain(sessionId)
      await house.context.setOffline(false)
      await expect.poll(() => liveSessions(server, nurse)).not.toContain(sessionId)
      await expect.poll(() => noted(page)).toEqual({})
      expect(
        (await house.context.cookies(new URL('/v1/sessions', house.url).href)).map(({ name }) => name),
      ).not.toContain('sotto-refresh')
    })

    test('is finished by the next page, and nobody resumes the session until then', async () => {
      await using server = await startTestServer('pglite')
      const { slug, alice: nurse } = await server.createClinic()
      await using house = await openBrowserHouse(server.url)
      const page = await openTab(house)
      const sessionId = await enter(page, slug, nurse.login)
      await house.context.setOffline(true)
      await page.evaluate(() => window.session.signOut())
      await page.close()
      await house.context.setOffline(false)
      const next = await openTab(house)
      expect(await resumed(next)).toBe('sdk/signed-out')
      expect(await liveSessions(server, nurse)).toContain(sessionId)
      await next.evaluate(() => window.sdk.finishSignOut({ url: '' }))
      expect(await liveSessions(server, nurse)).not.toContain(sessionId)
      expect(await noted(next)).toEqual({})
      expect(await resumed(next)).toBe('identity/refresh-invalid')
    })

    test('is told before somebody else signs in, whose session stays', async () => {
      await using server = await startTestServer('pglite')
      const { slug, alice: nurse, bob: patient } = await server.createClinic()
      await using house = await openBrowserHouse(server.url)
      const page = await openTab(house)
      const sessionId = await enter(page, slug, nurse.login)
      await house.context.setOffline(true)
      await page.evaluate(() => window.session.signOut())
      await page.close()
      await house.context.setOffline(false)
      const next = await openTab(house)
      const others = await enter(next, slug, patient.login)
      expect(await liveSessions(server, nurse)).not.toContain(sessionId)
      await next.evaluate(() => window.sdk.finishSignOut({ url: '' }))
      expect(await liveSessions(server, patient)).toContain(others)
      expect(await resumed(next)).toBe(others)

      // A note of a session whose cookie is gone ends nobody else's.
      await next.evaluate((id) => localStorage.setItem(`sotto-signed-out ${location.origin}`, id), sessionId)
      await next.evaluate(() => window.sdk.finishSignOut({ url: '' }))
      expect(await liveSessions(server, patient)).toContain(others)
      expect(await noted(next)).toEqual({})
    })
  })
})
