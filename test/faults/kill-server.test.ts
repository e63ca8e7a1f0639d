/** @feature A3 J1 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { databaseKinds, loadLimits, prepareEmptyPostgres, readDemo, startServerProcess } from '@sotto/testkit'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkHistory } from './check-history.ts'
import { progress, startSender } from './senders.ts'

/** Of each sender. What waits of all when the server is back is more than one statement writes (`append-batch.ts`). */
const IN_FLIGHT = 16
const isLong = process.env['SOTTO_TEST_LONG'] === '1'
const ROUNDS = isLong ? 100 : 5
const PEOPLE = ['alice.nurse', 'bob.patient', 'grace.primary', 'carmen.patient', 'omar.cardio']

describe.each(databaseKinds)('on %s', (kind) => {
  test(`the server is killed ${ROUNDS} times in mid-sentence, and nothing acknowledged is missing`, async ({
    task,
  }) => {
    const folder = await mkdtemp(join(tmpdir(), 'sotto-kill-'))
    await using postgres = kind === 'postgres' ? await prepareEmptyPostgres() : undefined
    const dataDir = join(folder, 'data')
    const env = { SOTTO_DATA_DIR: dataDir, ...loadLimits, ...(await postgres?.migrated({ SOTTO_DATA_DIR: dataDir })) }
    let server = await startServerProcess(env)
    onTestFinished(() => server.kill())
    const demo = await readDemo(dataDir)
    const target = { url: server.url }
    const senders = PEOPLE.map((login) => startSender(target, demo, login, IN_FLIGHT))
    for (let round = 1; round <= ROUNDS; round++) {
      await progress(senders, 20)
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 500))
      await server.kill()
      server = await startServerProcess(env)
      target.url = server.url
    }
    await Promise.all(senders.map((sender) => sender.finish()))
    const { acknowledged, entries } = await checkHistory(server.url, demo, senders)
    expect(acknowledged).toBeGreaterThan(ROUNDS)
    Object.assign(task.meta, { counts: { kills: ROUNDS, acknowledged, entries, lost: 0 } })
    expect(await server.stop()).toBe(0)
    await rm(folder, { recursive: true, force: true })
  })
})
