import { connect } from '../src/index.ts'
import { fileStorage } from '../src/node.ts'

/**
 * A process that is killed by its test: it queues messages until then, and prints each one's number once `send` has
 * promised it. Arguments: url, user, conversation, folder, number of messages.
 */
const [url = '', userId = '', conversationId = '', directory = '', count = '0'] = process.argv.slice(2)
const sotto = connect({ url, userId, getToken: async () => userId, storage: fileStorage({ directory }) })
for (let index = 0; index < Number(count); index += 1) {
  await sotto.conversation(conversationId).send(`message ${index}`)
  process.stdout.write(`${index}\n`)
}
await new Promise<void>((resolve) => {
  const look = (): void => {
    const { status, waiting } = sotto.outbox.getSnapshot()
    if (status === 'ready' && waiting === 0) resolve()
  }
  sotto.outbox.subscribe(look)
  look()
})
await sotto.close()
