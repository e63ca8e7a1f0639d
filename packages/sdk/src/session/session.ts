import type { Device, SignedIn, User, UserId } from '@sotto/protocol'
import type { Api } from '../api/api.ts'
import type { GetToken } from '../api/http.ts'
import { sdkProblem, toProblem, type SottoProblem } from '../api/problem.ts'
import { limitTable } from '../contract.generated.ts'
import { createListeners } from '../platform/live.ts'
import type { Clock } from '../platform/clock.ts'
import { isWorthAnotherTry, type UnheardSignOut } from './unheard-sign-out.ts'
import type { ChannelLike, LockManagerLike } from '../runtime/tabs.ts'

/** Where the refresh token lives: a page's in an HttpOnly cookie that no script can read, elsewhere in the app's hands. */
export type RefreshTokenIn = 'cookie' | 'body'

/** What an app without cookies keeps, so that it can resume. Secrets: keep them as such. */
export interface Credentials {
  readonly refreshToken: string
  readonly deviceId: string
  /** Proves the device at its next sign-in. */
  readonly deviceSecret: string | null
}

/** A signed-in user. Fits `connect`: `connect({ ...session })` or `connect(session)`. */
export interface Session extends AsyncDisposable {
  readonly url: string
  readonly userId: UserId
  readonly user: User
  readonly sessionId: string
  readonly deviceId: Device['deviceId']
  /** An access token that works now. Refreshed by one task of one tab at a time. @throws SottoProblem */
  readonly getToken: GetToken
  /** The problem that ended it; null while it goes on. */
  readonly ended: SottoProblem | null
  /** Calls `listener` when the session ends: signed out, here or in another tab, expired, or revoked. */
  onEnded(listener: () => void): () => void
  /**
   * Ends the session here, in the other tabs and on the server. `sotto.signOut()` does it, and clears the device too.
   * Without a network it is over here at once, and a page tells the server when it can: see `finishSignOut`.
   */
  signOut(): Promise<void>
  /** Forgets the tokens and leaves the session as it is on the server. */
  close(): void
}

export interface SessionDeps {
  readonly url: string
  readonly api: Api
  readonly clock: Clock
  readonly refreshTokenIn: RefreshTokenIn
  /** How far the server's clock is ahead of the monotonic one here; null when nothing told. */
  readonly serverOffsetMs: () => number | null
  readonly keep: ((credentials: Credentials) => void | Promise<void>) | undefined
  readonly locks: LockManagerLike | undefined
  /** Undefined where the refresh token is not in a cookie. */
  readonly unheard: UnheardSignOut | undefined
  readonly openChannel: ((name: string) => ChannelLike) | undefined
  onCreated(session: Session): void
}

type SessionMessage =
  | { readonly type: 'token'; readonly userId: UserId; readonly accessToken: string; readonly lifeMs: number }
  | { readonly type: 'signed-out' }

/** After this time a sign-out that was not answered goes on by itself. */
const SIGN_OUT_MS = 5_000
/** A token is not used when it has less than this to live: it must survive its way to the server. */
const MARGIN_MS = 20_000
/** Keeps a session going from the answer of a sign-in or of a refresh. */
export async function createSession(deps: SessionDeps, signedIn: SignedIn): Promise<Session> {
  const { api, clock } = deps
  const listeners = createListeners()
  const { user, session } = signedIn
  let accessToken = ''
  let expiresAt = 0
  let refreshedAt = 0
  let refreshToken = signedIn.refreshToken
  let deviceSecret = signedIn.deviceSecret
  let ended: SottoProblem | null = null
  let refreshing: Promise<string> | null = null
  const channel = deps.refreshTokenIn === 'cookie' ? deps.openChannel?.(`sotto-session-${deps.url}`) : undefined
  if (channel !== undefined) channel.onmessage = ({ data }) => hear(data as SessionMessage)

  function use(token: string, lifeMs: number): void {
    accessToken = token
    refreshedAt = clock.monotonicMs()
    expiresAt = refreshedAt + lifeMs
  }

  function tell(message: SessionMessage): void {
    if (ended === null) channel?.postMessage(message)
  }

  /** Cookies belong to all tabs: another user's sign-in ends this session here. */
  function hear(message: SessionMessage): void {
    if (message.type === 'token' && message.userId === user.userId) use(message.accessToken, message.lifeMs)
    else end(sdkProblem('sdk/signed-out'))
  }

  /** The other tabs have the same cookie: what ended for one, by the server's word or the user's, has ended for all. */
  function endForAll(problem: SottoProblem): void {
    tell({ type: 'signed-out' })
    end(problem)
  }

  function end(problem: SottoProblem): void {
    if (ended !== null) return
    ended = problem
    accessToken = ''
    refreshToken = null
    channel?.close()
    listeners.notify()
  }

  /** Expiry is the server's time: it is compared with the server's clock as measured, or else with the usual life. */
  async function adopt(fresh: SignedIn): Promise<void> {
    const offset = deps.serverOffsetMs()
    const usual = limitTable.accessTokenSeconds * 1_000
    const told = offset === null ? usual : Date.parse(fresh.accessTokenExpiresAt) - (clock.monotonicMs() + offset)
    const lifeMs = Math.max(0, Math.min(told, usual) - MARGIN_MS)
    refreshToken = fresh.refreshToken
    deviceSecret = fresh.deviceSecret ?? deviceSecret
    // Kept before it is used: the token before it stops working soon.
    if (refreshToken !== null) await deps.keep?.({ refreshToken, deviceId: session.deviceId, deviceSecret })
    use(fresh.accessToken, lifeMs)
    tell({ type: 'token', userId: user.userId, accessToken, lifeMs })
  }

  async function refresh(): Promise<string> {
    const askedAt = clock.monotonicMs()
    const locks = deps.refreshTokenIn === 'cookie' ? deps.locks : undefined
    const run = async (): Promise<void> => {
      // Another tab was faster: its token came by the channel while this one waited for the lock.
      if (refreshedAt >= askedAt && accessToken !== '') return
      const body = refreshToken === null ? {} : { refreshToken }
      try {
        await adopt(await api.refreshSession({ ...body, refreshTokenIn: deps.refreshTokenIn }))
      } catch (error) {
        const problem = toProblem(error)
        if (problem.retry === 'after-reauth') endForAll(problem)
        throw problem
      }
    }
    if (locks === undefined) await run()
    else await locks.request(`sotto-refresh-${deps.url}`, {}, run)
    if (ended !== null) throw ended
    return accessToken
  }

  const self: Session = {
    url: deps.url,
    userId: user.userId,
    user,
    sessionId: session.sessionId,
    deviceId: session.deviceId,
    get ended() {
      return ended
    },
    onEnded: listeners.subscribe,
    async getToken(refused) {
      if (ended !== null) throw ended
      // Requests that were refused together ask for one new token, not for one each.
      if (accessToken !== '' && accessToken !== refused && clock.monotonicMs() < expiresAt) return accessToken
      refreshing ??= refresh().finally(() => (refreshing = null))
      return await refreshing
    },
    async signOut() {
      if (ended !== null) return
      const { unheard } = deps
      // Noted before it is tried: the page may be closed in the middle.
      unheard?.note(session.sessionId)
      const answer = api.endSession({ sessionId: session.sessionId }, { timeoutMs: SIGN_OUT_MS })
      const problem = await answer.then(() => null, toProblem)
      if (problem === null || !isWorthAnotherTry(problem)) unheard?.forget()
      endForAll(sdkProblem('sdk/signed-out'))
      void unheard?.tellUntilHeard()
    },
    close: () => end(sdkProblem('sdk/closed')),
    [Symbol.asyncDispose]: async () => self.close(),
  }
  deps.onCreated(self)
  await adopt(signedIn)
  return self
}
