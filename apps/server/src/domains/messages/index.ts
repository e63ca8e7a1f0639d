/** The door of the messages room. */
export { messagesRoutes } from './messages.routes.ts'
export { sendMessage } from './send-message.ts'
