/** What people do on the page, and where it shows. */

import type { Page } from 'playwright-core'
import { WAIT_MS } from './stage.testing.ts'

/** Asks again until the answer is the expected one. */
export const patiently = { timeout: WAIT_MS }

export const composer = (page: Page) => page.getByLabel('Write a message')
export const message = (page: Page, text: string) => page.locator('.message', { hasText: text })
export const banner = (page: Page) => page.locator('.banner')

export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

/** What the bubbles of one person's own words say, in the order in which they stand. */
export async function texts(page: Page): Promise<readonly string[]> {
  return await page.locator('.bubble-text').allTextContents()
}

/** Alice starts a conversation on the page. @returns where it is */
export async function startConversation(alice: Page, names: readonly string[], title?: string): Promise<string> {
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
