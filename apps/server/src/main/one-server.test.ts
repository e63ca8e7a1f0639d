import { expect, test } from 'vitest'
import { databaseKinds } from '../../../../packages/testkit/src/databases.ts'
import { startTestServer } from '../../../../packages/testkit/src/test-server.ts'
import { loadConfig } from './config.ts'
import { startServer } from './server.ts'

test.runIf(databaseKinds.includes('postgres'))(
  'a second server on one PostgreSQL database refuses to start',
  async () => {
    await using first = await startTestServer('postgres')
    const second = startServer({ config: loadConfig(first.env), otherServerMs: 300 })
    await expect(second).rejects.toThrow('Another Sotto server works on this database')
  },
)
