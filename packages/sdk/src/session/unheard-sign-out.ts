import { createApi } from '../api/api.ts'
import { createHttp, type Fetch } from '../api/http.ts'
import { sdkProblem, toProblem, type SottoProblem } from '../api/problem.ts'
import type { Clock } from '../platform/clock.ts'
import { fraction, systemRandom } from '../platform/random.ts'
import { watchDevice } from '../runtime/device.ts'
import type { LockManagerLike } from '../runtime/tabs.ts'
import { backoffMs, reconnectBackoff } from '../sync/backoff.ts'

/**
 * A sign-out that the server has not heard of: there was no network. What renews the session is in a cookie that no script
 * can read, so no script can remove it either; only the server's answer does. Until then this device remembers that it has
 * to be asked for: the id of the session, in `localStorage`, and nothing else. It says who was here to nobody, opens
 * nothing, and tells the session that was ended from one that began later under the same cookie.
 *
 * | state | left by |
 * |---|---|
 * | nothing is noted | a sign-out notes its session before it asks the server |
 * | noted | the server has ended the session, or says that it is over, or the cookie is another session's |
 */
export interface UnheardSignOut {
  /** The session whose end the server has not heard of; null when there is none. */
  find(): string | null
  note(sessionId: string): void
  forget(): void
  /** Tells the server, once. Does nothing when nothing is noted. @throws SottoProblem worth another try */
  tell(): Promise<void>
  /** Tells the server until it has heard: at once when the network is back, otherwise ever more seldom. */
  tellUntilHeard(): Promise<void>
}

export interface UnheardSignOutDeps {
  readonly url: string
  readonly fetch: Fetch
  readonly clock: Clock
  readonly locks: LockManagerLike | undefined
}

/** Only where the refresh token is in a cookie: an app that holds its own decides itself what becomes of it. */
export function unheardSignOut(deps: UnheardSignOutDeps): UnheardSignOut {
  const { url, clock, locks } = deps
  const key = `sotto-signed-out ${url}`

  function find(): string | null {
    try {
      return localStorage.getItem(key)
    } catch {
      // Storage is blocked: the session ends by itself, when it is idle for long enough.
      return null
    }
  }

  function write(sessionId: string | null): void {
    try {
      if (sessionId === null) localStorage.removeItem(key)
      else localStorage.setItem(key, sessionId)
    } catch {
      // As above.
    }
  }

  async function run(): Promise<void> {
    // Another tab may have been faster.
    const noted = find()
    if (noted === null) return
    let token = ''
    const api = createApi(
      createHttp({ url, clock, fetch: deps.fetch, credentials: 'same-origin', getToken: async () => token }),
    )
    try {
      const { accessToken, session } = await api.refreshSession({ refreshTokenIn: 'cookie' })
      token = accessToken
      if (session.sessionId === noted) await api.endSession({ sessionId: noted })
    } catch (error) {
      const problem = toProblem(error)
      if (isWorthAnotherTry(problem)) throw problem
    }
    write(null)
  }

  /** Whoever renews the cookie holds this lock: nobody signs in or renews in between. */
  async function tell(): Promise<void> {
    if (find() === null) return
    if (locks === undefined) await run()
    else await locks.request(`sotto-refresh-${url}`, {}, run)
  }

  async function tellUntilHeard(): Promise<void> {
    let hurry = (): void => {}
    const stopWatching = watchDevice({ dispatch: () => hurry() })
    try {
      for (let failures = 1; find() !== null; failures += 1) {
        const problem = await tell().then(() => null, toProblem)
        if (problem === null) return
        const delayMs = backoffMs(reconnectBackoff, failures, fraction(systemRandom), problem.retryAfterMs)
        await new Promise<void>((resolve) => {
          const cancel = clock.setTimer(delayMs, resolve)
          hurry = () => {
            cancel()
            resolve()
          }
        })
      }
    } finally {
      stopWatching()
    }
  }

  return { find, note: write, forget: () => write(null), tell, tellUntilHeard }
}

/** The rest says that there is no such session any more, or that nothing will ever end it from here. */
export function isWorthAnotherTry({ retry }: SottoProblem): boolean {
  return retry === 'after-delay' || retry === 'after-sync'
}

/** @throws SottoProblem `sdk/signed-out` while the server has not heard of the sign-out */
export function assertHeard(unheard: UnheardSignOut | undefined): void {
  if (unheard !== undefined && unheard.find() !== null) throw sdkProblem('sdk/signed-out')
}
