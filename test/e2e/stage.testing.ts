/** Real browsers before a real server: people sign in on devices of their own, and everything that must not happen is noted. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AxeBuilder } from '@axe-core/playwright'
import {
  startTestServer,
  TEST_PASSWORD,
  type Clinic,
  type PersonName,
  type TestServer,
  type TestServerOptions,
} from '@sotto/testkit'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { builtPage } from './global-setup.ts'
import { isScrolledSideways, twoFrames, watchPage } from './in-page.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const screenshots = join(root, '.cache/screenshots')

/** Long enough for a machine that is busy with other things. */
export const WAIT_MS = 20_000

/** Debian's; elsewhere a setting says where it is. */
const executablePath = process.env['SOTTO_CHROMIUM'] ?? '/usr/bin/chromium'
const chromiumArguments = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export const phone: BrowserContextOptions = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }
export const desk: BrowserContextOptions = { viewport: { width: 1440, height: 900 } }

/** What was seen of all pages since the last look. */
export interface Notes {
  /** Errors and warnings on the console, uncaught errors, violations of the content security policy. */
  readonly faults: string[]
  /** Where requests and sockets went. */
  readonly origins: Set<string>
  /** Everything that stood in an address bar or in a title. */
  readonly inTheOpen: Set<string>
}

export interface Stage extends AsyncDisposable {
  readonly url: string
  readonly server: TestServer
  readonly clinic: Clinic
  readonly notes: Notes
  /** A device of nobody's yet. */
  openDevice(options?: BrowserContextOptions): Promise<Page>
  /** A device on which this person is signed in. */
  open(person: PersonName, options?: BrowserContextOptions): Promise<Page>
}

/** @param options  of the server */
export async function setStage(options: Pick<TestServerOptions, 'clock'> = {}): Promise<Stage> {
  await mkdir(screenshots, { recursive: true })
  const pageDir = builtPage()
  const server = await startTestServer('pglite', { ...options, pageDir })
  const clinic = await server.createClinic()
  const browser = await chromium.launch({ executablePath, args: chromiumArguments })
  const notes: Notes = { faults: [], origins: new Set(), inTheOpen: new Set() }

  async function openDevice(options: BrowserContextOptions = desk): Promise<Page> {
    const context = await browser.newContext({ baseURL: server.url, locale: 'en-US', ...options })
    await context.exposeBinding('noteFault', (_source, text: string) => void notes.faults.push(text))
    await context.exposeBinding('noteTitle', (_source, text: string) => void notes.inTheOpen.add(text))
    await context.addInitScript({ content: watchPage })
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    watch(page, notes)
    return page
  }

  return {
    url: server.url,
    server,
    clinic,
    notes,
    openDevice,
    async open(person, options) {
      const page = await openDevice(options)
      await page.goto('/')
      await signIn(page, clinic[person].login)
      return page
    },
    async [Symbol.asyncDispose]() {
      await browser.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

export async function signIn(page: Page, login: string, password = TEST_PASSWORD): Promise<void> {
  await page.getByLabel('Sign-in name').fill(login)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Messages' }).waitFor()
}

function watch(page: Page, notes: Notes): void {
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') notes.faults.push(message.text())
  })
  page.on('pageerror', (error) => void notes.faults.push(error.message))
  page.on('request', (request) => void notes.origins.add(new URL(request.url()).origin))
  page.on('websocket', (socket) => void notes.origins.add(new URL(socket.url()).origin.replace(/^ws/, 'http')))
  page.on('framenavigated', (frame) => void notes.inTheOpen.add(frame.url()))
}

/** What depends on the colours. The rest is the same in both themes. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block']

interface Violation {
  readonly rule: string
  readonly where: readonly string[]
}

/** What axe finds on the page as it is: WCAG 2.2 A and AA, and the best practices; or by some of its rules only. */
async function findViolations(page: Page, rules: readonly string[] | null): Promise<readonly Violation[]> {
  const axe = new AxeBuilder({ page })
  const { violations } = await (rules === null ? axe : axe.withRules([...rules])).analyze()
  return violations.map(({ id, nodes }) => ({ rule: id, where: nodes.map(({ target }) => target.join(' ')) }))
}

/**
 * Looks at the page in both themes and at both widths: axe, a picture, and no sideways scrolling.
 *
 * @param options.ruleWidths  where all rules are tried: both, unless the page is long and the same at both
 */
export async function inspect(
  page: Page,
  name: string,
  { ruleWidths = [360, 1440] }: { readonly ruleWidths?: readonly number[] } = {},
): Promise<readonly unknown[]> {
  const found: unknown[] = []
  const before = page.viewportSize()
  for (const viewport of [
    { width: 360, height: 740 },
    { width: 1440, height: 900 },
  ]) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(twoFrames)
      const place = `${name}-${viewport.width}-${colorScheme}`
      await page.screenshot({ path: join(screenshots, `${place}.png`) })
      const rules = colorScheme === 'light' ? null : COLOUR_RULES
      // The colours are the same at both widths.
      const isTried = rules === null ? ruleWidths.includes(viewport.width) : viewport.width === 360
      const violations = isTried ? await findViolations(page, rules) : []
      found.push(...violations.map((violation) => ({ place, ...violation })))
      if (await scrollsSideways(page)) found.push({ place, rule: 'scrolls sideways' })
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
  if (before !== null) await page.setViewportSize(before)
  return found
}

export async function scrollsSideways(page: Page): Promise<boolean> {
  return (await page.evaluate(isScrolledSideways)) === true
}
