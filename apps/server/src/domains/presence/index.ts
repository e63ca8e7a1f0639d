/** The door of the presence room. */
export { findVisibleUsers, watchPresence } from './list-presence.ts'
export { presenceRoutes } from './presence.routes.ts'
export { createPresenceBoard, presenceChanged, typingSignalled } from './presence.ts'
export { setPresence } from './set-presence.ts'
export { signalTyping } from './signal-typing.ts'
