/** Run by `embedded.test.ts`: writes numbered rows in batches, and says after each commit how far it has come. */

import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openEmbeddedAt } from '../../../../../packages/testkit/src/databases.ts'
import { statement } from './tx.ts'

const [, , dataDir, clinic] = process.argv as [string, string, string, string]
const db = await openEmbeddedAt(dataDir)
const publish = statement(
  'fixture.publish',
  `insert into outbox (tenant_id, outbox_id, topic, key, payload) values ($1, $2, 'message.sent', $3, '{}')`,
)
let last = 0
for (;;) {
  await db.withTx({ role: 'app', tenantId: clinic }, async (tx) => {
    const batch = 1 + (last % 7)
    for (let row = 0; row < batch; row++) void tx.run(publish, [clinic, randomUUID(), String(++last)])
  })
  writeSync(1, `${last}\n`)
}
