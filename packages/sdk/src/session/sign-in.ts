import { createApi, type Api } from '../api/api.ts'
import { createHttp, type Fetch } from '../api/http.ts'
import { systemClock, type Clock } from '../platform/clock.ts'
import { absoluteUrl } from '../platform/url.ts'
import type { ChannelLike, LockManagerLike } from '../runtime/tabs.ts'
import { assertHeard, unheardSignOut } from './unheard-sign-out.ts'
import { createSession, type Credentials, type RefreshTokenIn, type Session, type SessionDeps } from './session.ts'

export interface SessionOptions {
  /** Of the server. In a page, `''` means the page's own origin. */
  readonly url: string
  /** Default: `cookie` in a page, `body` elsewhere. Cookies need the page to be of the server's own origin. */
  readonly refreshTokenIn?: RefreshTokenIn
  /**
   * Called with every new refresh token, before its access token is used, so that an app without cookies can resume
   * after a restart. Never called in cookie mode.
   */
  readonly keep?: (credentials: Credentials) => void | Promise<void>
  readonly fetch?: Fetch
  readonly clock?: Clock
}

export interface SignInOptions extends SessionOptions {
  /** May be left out where the deployment has one tenant. */
  readonly tenant?: string
  readonly login: string
  readonly password: string
  /** What the user calls this device in her list of devices. */
  readonly deviceName: string
  /** A device that has signed in before proves itself and stays the same device. */
  readonly device?: { readonly deviceId: string; readonly deviceSecret?: string }
}

export interface SignInByLinkOptions extends SessionOptions {
  /** Of the one-time link. */
  readonly token: string
  /** The password that is set. */
  readonly password: string
  readonly deviceName: string
}

export interface ResumeOptions extends SessionOptions {
  /** What `keep` was given last. Not needed in cookie mode. */
  readonly refreshToken?: string
}

/**
 * Signs in with a name and a password. A sign-out before it that the server has not heard of is told first: the cookie is
 * about to be another session's.
 *
 * @throws SottoProblem `identity/sign-in-failed`, `identity/sign-in-delayed` (wait `retryAfterMs`), `sdk/network`
 */
export async function signIn(options: SignInOptions): Promise<Session> {
  const deps = createDeps(options)
  await deps.unheard?.tell()
  const { tenant, login, password, device, deviceName } = options
  const signedIn = await deps.api.createSession({
    login,
    password,
    device: { ...device, name: deviceName },
    refreshTokenIn: deps.refreshTokenIn,
    ...(tenant === undefined ? {} : { tenant }),
  })
  return await createSession(deps, signedIn)
}

/** Sets a password by a one-time link, and signs in. @throws SottoProblem `identity/link-invalid`, `identity/password-weak` */
export async function signInByLink(options: SignInByLinkOptions): Promise<Session> {
  const deps = createDeps(options)
  await deps.unheard?.tell()
  const { token, password, deviceName } = options
  const signedIn = await deps.api.redeemSignInLink({
    token,
    password,
    device: { name: deviceName },
    refreshTokenIn: deps.refreshTokenIn,
  })
  return await createSession(deps, signedIn)
}

/**
 * Goes on with a session after a reload or a restart: by the cookie, or by the refresh token that was kept.
 *
 * @throws SottoProblem with `retry: 'after-reauth'` when there is none: show the sign-in. Others: try again
 */
export async function resumeSession(options: ResumeOptions): Promise<Session> {
  const deps = createDeps(options)
  const { refreshToken } = options
  // Who has signed out stays so, whether the server knows already or not.
  assertHeard(deps.unheard)
  const resume = async (): Promise<Session> => {
    assertHeard(deps.unheard)
    const body = refreshToken === undefined ? {} : { refreshToken }
    const signedIn = await deps.api.refreshSession({ ...body, refreshTokenIn: deps.refreshTokenIn })
    return await createSession(deps, signedIn)
  }
  // Tabs that were reloaded together refresh one after another: each rotates the cookie that the next one sends.
  const locks = deps.refreshTokenIn === 'cookie' ? deps.locks : undefined
  if (locks === undefined) return await resume()
  let session: Session | undefined
  await locks.request(`sotto-refresh-${deps.url}`, {}, async () => {
    session = await resume()
  })
  return session as Session
}

/**
 * Tells the server of a sign-out that it has not heard of, because there was no network: call it when the page is loaded.
 * It asks nothing when there is none, and goes on asking, at once when the network is back, until the server has ended the
 * session. Only for pages with the refresh token in a cookie.
 *
 * @returns resolves when the server has heard
 */
export async function finishSignOut(options: Pick<SessionOptions, 'url' | 'fetch' | 'clock'>): Promise<void> {
  await createDeps({ ...options, refreshTokenIn: 'cookie' }).unheard?.tellUntilHeard()
}

/** Whether a sign-out on this device waits for the server to hear of it. */
export function isSignOutUnheard(options: Pick<SessionOptions, 'url'>): boolean {
  const { unheard } = createDeps({ ...options, refreshTokenIn: 'cookie' })
  return unheard !== undefined && unheard.find() !== null
}

function createDeps(options: SessionOptions): SessionDeps {
  const isPage = 'document' in globalThis
  const clock = options.clock ?? systemClock
  const url = absoluteUrl(options.url)
  const refreshTokenIn = options.refreshTokenIn ?? (isPage ? 'cookie' : 'body')
  const locks = globalThis.navigator?.locks as LockManagerLike | undefined
  const send: Fetch = options.fetch ?? ((input, init) => fetch(input, init))
  let session: Session | undefined
  const http = createHttp({
    url,
    clock,
    getToken: async (refused) => (session === undefined ? '' : await session.getToken(refused)),
    fetch: send,
    credentials: 'same-origin',
  })
  const api: Api = createApi(http)
  return {
    url,
    api,
    clock,
    refreshTokenIn,
    serverOffsetMs: http.serverOffsetMs,
    keep: options.keep,
    locks,
    unheard: refreshTokenIn === 'cookie' ? unheardSignOut({ url, fetch: send, clock, locks }) : undefined,
    openChannel: 'BroadcastChannel' in globalThis ? (name): ChannelLike => new BroadcastChannel(name) : undefined,
    // The session's own requests carry its own token.
    onCreated: (created) => {
      session = created
    },
  }
}
