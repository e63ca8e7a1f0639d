/** @feature D1 K1 */
import { limitDefaults } from '@sotto/protocol'
import { expect, test } from 'vitest'
import type { Clock } from '../../apps/server/src/platform/time/clock.ts'
import { expected, forgive, setUp } from './set-up.testing.ts'
import { inspect } from './stage.testing.ts'
import { banner, composer, patiently, startConversation } from './steps.testing.ts'

// What a person is told before the time of her session is up (WCAG 2.2.1, 45 CFR 164.312(a)(2)(iii)).

const MINUTE_MS = 60_000
const IDLE_MS = limitDefaults.sessionIdleSeconds * 1000
const ABSOLUTE_MS = limitDefaults.sessionAbsoluteSeconds * 1000

/** The server's; the browser's own clock goes on as it is. */
let skewMs = 0
const clock: Clock = {
  now: () => (Date.now() + skewMs) as ReturnType<Clock['now']>,
  monotonicMs: () => performance.now() + skewMs,
}
const stage = setUp({ clock })

const look = () => stage.server.composition.sessionWatch.sweep()
/** What the clock on the screen says then. */
const timeIn = (ms: number, language: 'en' | 'es') =>
  /\d+:\d\d/.exec(new Date(Date.now() + ms).toLocaleTimeString(language))?.[0]
const timeOn = (text: string | null) => /\d+:\d\d/.exec(text ?? '')?.[0]

test('who did nothing for a while is told when she will be signed out, and stays when she says so', async () => {
  const alice = await stage.open('alice')
  await startConversation(alice, ['Bob the patient'])
  skewMs += IDLE_MS - 1.5 * MINUTE_MS
  await look()
  const warning = alice.getByRole('status').filter({ hasText: 'You have not done anything for a while' })
  await warning.waitFor()
  // By the clock on her screen, not by the server's, which is a quarter of an hour ahead.
  expect([timeIn(MINUTE_MS, 'en'), timeIn(1.5 * MINUTE_MS, 'en')]).toContain(timeOn(await warning.textContent()))
  expect(await inspect(alice, 'expiring')).toEqual([])
  await alice.getByRole('button', { name: 'Stay signed in' }).click()
  await expect.poll(() => banner(alice).count(), patiently).toBe(0)

  skewMs += IDLE_MS - MINUTE_MS
  await look()
  await warning.waitFor()
  // Writing is an act as well.
  await composer(alice).pressSequentially('On my way')
  await expect.poll(() => banner(alice).count(), patiently).toBe(0)

  skewMs += IDLE_MS + MINUTE_MS
  await look()
  await alice.getByText('Your session has ended').waitFor()
  forgive(stage, expected.unauthorized)
  await alice.context().close()
})

test('who reaches the longest time is told that there is no staying, in Spanish too', async () => {
  const alice = await stage.open('alice')
  await startConversation(alice, ['Bob the patient'])
  await alice.getByLabel('Language').selectOption('es')
  const { registry, identity } = stage.server.composition
  const [{ ctx }] = [...registry.all()] as [Parameters<typeof registry.add>[0]]
  const endsAt = clock.now() + ABSOLUTE_MS
  while (clock.now() < endsAt - IDLE_MS) {
    skewMs += IDLE_MS / 2
    await identity.touchSession(ctx)
  }
  skewMs += endsAt - clock.now() - MINUTE_MS
  await look()
  const warning = alice.getByRole('status').filter({ hasText: 'llega a su duración máxima' })
  await warning.waitFor()
  expect([timeIn(0.5 * MINUTE_MS, 'es'), timeIn(MINUTE_MS, 'es')]).toContain(timeOn(await warning.textContent()))
  expect(await alice.getByRole('button', { name: 'Seguir conectado' }).count()).toBe(0)
  skewMs += 2 * MINUTE_MS
  await look()
  await alice.getByText('Su sesión terminó. Inicie sesión de nuevo.').waitFor()
  forgive(stage, expected.unauthorized)
  await alice.context().close()
})
