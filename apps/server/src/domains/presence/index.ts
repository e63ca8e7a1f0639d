/** The door of the presence room. */
export {
  createPresenceBoard,
  presenceChanged,
  typingSignalled,
  type HereState,
  type PresenceBoard,
} from './presence.ts'
export { findVisibleUsers, listPresence, watchPresence, type PresenceDeps } from './list-presence.ts'
export { setPresence } from './set-presence.ts'
export { signalTyping } from './signal-typing.ts'
export { presenceRoutes } from './presence.routes.ts'
