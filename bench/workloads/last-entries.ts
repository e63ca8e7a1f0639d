/** Workload e: opening a long conversation, beside the bare select of the same rows. */

import { openGround } from '../lib/ground.ts'
import { fixed, medianPass, ratio, whole } from '../lib/numbers.ts'
import type { Section } from '../lib/report.ts'
import { startPeer } from '../lib/rpc.ts'
import type { LoadCalls } from '../load-process.ts'
import type { ServerCalls } from '../server-process.ts'
import { databaseNames, type Setting } from './setting.ts'

export async function measureLastEntries(setting: Setting): Promise<readonly Section[]> {
  const entries = setting.isQuick ? 10_000 : 100_000
  const times = setting.isQuick ? 100 : 400
  await using ground = await openGround(setting.kind)
  await using server = startPeer<ServerCalls>('server-process.ts')
  await using load = startPeer<LoadCalls>('load-process.ts')
  const { url } = await server.call('start', { env: await ground.place('server') })
  await server.call('makeClinic', { people: 2 })
  const [conversationId] = await server.call('makeConversations', { memberships: [[0, 1]] })
  await server.call('fill', { person: 0, conversationId: conversationId!, count: entries })
  const request = {
    url: `${url}/v1/conversations/${conversationId!}/entries?limit=50`,
    accessToken: await server.call('accessToken', { person: 1 }),
    times,
  }
  const ours = []
  const bare = []
  for (let pass = 0; pass < setting.passes; pass++) {
    ours.push(await load.call('get', request))
    bare.push(await server.call('selectLast', { person: 1, conversationId: conversationId!, times }))
  }
  const our = medianPass(ours, (pass) => pass.p50)
  const reference = medianPass(bare, (pass) => pass.p50)
  await server.call('stop', undefined)
  const row = [
    whole(entries),
    ...[our.p50, our.p95, our.p99].map((value) => fixed(value, 2)),
    ...[reference.p50, reference.p95, reference.p99].map((value) => fixed(value, 2)),
    ratio(reference.p50 / our.p50),
  ]
  process.stdout.write(`  ${setting.kind}, last 50: ${row.join(' | ')}\n`)
  return [
    {
      title: `e · Last 50 entries, ${databaseNames[setting.kind]}`,
      about:
        '`GET /v1/conversations/…/entries?limit=50`, one after another: token, permission, select, decryption, audit record and its commit. Beside: the bare select of the same rows in a transaction. The last 60 entries were sent, those before them are rows of their size.',
      tables: [
        {
          head: ['of', 'p50 ms', 'p95 ms', 'p99 ms', 'bare p50 ms', 'bare p95 ms', 'bare p99 ms', 'ratio of p50'],
          rows: [row],
        },
      ],
    },
  ]
}
