/** The door of the messages room. */
export { listEntries, type ListEntriesDeps } from './list-entries.ts'
export { sendMessage, type SendDeps } from './send-message.ts'
export { messagesRoutes } from './messages.routes.ts'
