import {
  connect,
  finishSignOut,
  isSignOutUnheard,
  resumeSession,
  signIn,
  signInByLink,
  SottoProblem,
  systemClock,
  type Live,
  type Session,
  type Sotto,
} from '@sotto/sdk'
import { createCell } from '../platform/cell.ts'
import { deviceName } from '../platform/device-name.ts'
import { readSetting, writeSetting } from '../platform/settings.ts'
import { createPeople, type People } from './people.ts'

/** A user who is signed in, with everything that lives as long as that. */
export interface SignedIn {
  readonly session: Session
  readonly sotto: Sotto
  readonly people: People
}

/**
 * | status | means | leaves by |
 * |---|---|---|
 * | resuming | the session of an earlier visit is being looked for | → signed-in, signed-out, unreachable |
 * | unreachable | the server does not answer; it is asked again by itself | → signed-in, signed-out |
 * | signed-out | nobody is signed in; `reason` says how that came, `isHeard` whether the server knows | sign-in → signed-in |
 * | signed-in | | sign-out, end of the session → signed-out |
 */
export type SessionState =
  | { readonly status: 'resuming' }
  | { readonly status: 'unreachable' }
  | {
      readonly status: 'signed-out'
      readonly reason: SignedOutReason
      readonly unsent: number
      readonly isHeard: boolean
    }
  | ({ readonly status: 'signed-in' } & SignedIn)

/** `none`: nobody was. `chosen`: the user signed out here. `ended`: the server, or another tab, ended it. */
export type SignedOutReason = 'none' | 'chosen' | 'ended'

export interface PasswordSignIn {
  readonly tenant: string
  readonly login: string
  readonly password: string
}

export interface SessionStore extends Live<SessionState> {
  /** Looks for the session of an earlier visit, until there is an answer. */
  resume(): Promise<void>
  /** Asks an unreachable server now. */
  retryNow(): void
  /** @throws SottoProblem */
  signIn(input: PasswordSignIn): Promise<void>
  /** @throws SottoProblem */
  signInByLink(input: { readonly token: string; readonly password: string }): Promise<void>
  /**
   * Ends the session and removes everything of it from this device, messages that wait included. `useSignOut` asks first.
   *
   * @param first  comes before it and may end the session by itself; when it fails nothing is removed
   */
  signOut(first?: () => Promise<void>): Promise<void>
}

const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000]
/** The page is of the server's own origin: what renews the session is in a cookie that no script can read. */
const server = { url: '', refreshTokenIn: 'cookie' } as const

export function createSessionStore(): SessionStore {
  const cell = createCell<SessionState>({ status: 'resuming' })
  const wake = createWake()
  let isSigningOut = false

  function leave(reason: SignedOutReason, unsent = 0): void {
    writeSetting('session', null)
    const isHeard = !isSignOutUnheard(server)
    cell.set({ status: 'signed-out', reason, unsent, isHeard })
    if (!isHeard) void finishSignOut(server).then(noteHeard)
  }

  function noteHeard(): void {
    const state = cell.getSnapshot()
    if (state.status === 'signed-out') cell.set({ ...state, isHeard: true })
  }

  function enter(session: Session): void {
    const sotto = connect(session)
    const people = createPeople(sotto, session.user)
    writeSetting('session', '1')
    cell.set({ status: 'signed-in', session, sotto, people })
    session.onEnded(noteEnd)
    sotto.connection.subscribe(noteEnd)
  }

  /** The session was ended elsewhere: what waits is kept for the next sign-in. */
  function noteEnd(): void {
    const state = cell.getSnapshot()
    if (isSigningOut || state.status !== 'signed-in') return
    const { session, sotto } = state
    const connection = sotto.connection.getSnapshot()
    if (session.ended === null && !(connection.status === 'ended' && isOver(connection.reason))) return
    const { waiting, failed } = sotto.outbox.getSnapshot()
    leave('ended', waiting + failed)
    session.close()
    void sotto.close()
  }

  return {
    getSnapshot: cell.getSnapshot,
    subscribe: cell.subscribe,
    retryNow: wake.now,
    async resume() {
      // Asking without a session is a refused request in the audit trail: it is not made by every visitor.
      if (readSetting('session') === null) return leave(isSignOutUnheard(server) ? 'chosen' : 'none')
      for (let failures = 0; ; failures += 1) {
        try {
          return enter(await resumeSession(server))
        } catch (error) {
          const over = error instanceof SottoProblem && error.retry !== 'after-delay' && error.retry !== 'after-sync'
          if (over) return leave('ended')
          cell.set({ status: 'unreachable' })
          await wake.after(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] as number)
        }
      }
    },
    async signIn({ tenant, login, password }) {
      const named = tenant.trim() === '' ? {} : { tenant: tenant.trim().toLowerCase() }
      enter(await signIn({ ...server, ...named, login, password, deviceName: deviceName() }))
    },
    async signInByLink({ token, password }) {
      enter(await signInByLink({ ...server, token, password, deviceName: deviceName() }))
    },
    async signOut(first) {
      const state = cell.getSnapshot()
      if (state.status !== 'signed-in') return
      isSigningOut = true
      try {
        await first?.()
      } catch (error) {
        isSigningOut = false
        // It may have happened although its answer is missing.
        noteEnd()
        throw error
      }
      try {
        await state.session.signOut()
        await state.sotto.signOut({ clear: true })
      } finally {
        isSigningOut = false
        leave('chosen')
      }
    },
  }
}

function isOver(reason: string): boolean {
  return reason === 'session' || reason === 'signed-out' || reason === 'other-user'
}

/** A wait that ends early when the network comes back, or when the user does not want to wait. */
function createWake(): { readonly now: () => void; after(ms: number): Promise<void> } {
  let waiting: (() => void) | undefined
  const now = (): void => waiting?.()
  addEventListener('online', now)
  return {
    now,
    after: (ms) =>
      new Promise((resolve) => {
        const cancel = systemClock.setTimer(ms, () => waiting?.())
        waiting = () => {
          cancel()
          waiting = undefined
          resolve()
        }
      }),
  }
}
