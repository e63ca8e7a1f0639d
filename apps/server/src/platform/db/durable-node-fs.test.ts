import fs from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { copyEmbeddedTemplate, databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { DurableNodeFS } from './durable-node-fs.ts'
import { startParams } from './engine-parameters.ts'

describe.runIf(databaseKinds.includes('pglite'))('the durable file system', () => {
  test('reaches the disk exactly once per commit, and reports each time that it did', async () => {
    const dataDir = await copyEmbeddedTemplate()
    const fdatasync = vi.spyOn(fs, 'fdatasyncSync')
    const fsync = vi.spyOn(fs, 'fsyncSync')
    onTestFinished(() => {
      vi.restoreAllMocks()
      return rm(dataDir, { recursive: true, force: true })
    })
    let reported = 0
    const files = new DurableNodeFS(
      join(dataDir, 'database'),
      () => reported++,
      () => {},
    )
    const engine = await PGlite.create({ fs: files, startParams: [...startParams] })
    const onDisk = (): number => fdatasync.mock.calls.length + fsync.mock.calls.length

    await engine.exec('create table durable (id int)')
    const before = onDisk()
    for (let id = 0; id < 20; id++) await engine.query('insert into durable values ($1)', [id])
    expect(onDisk() - before).toBe(20)
    expect(reported).toBe(onDisk())

    // A checkpoint makes the files of the tables durable, and the folders that name them.
    await engine.exec('checkpoint')
    expect(onDisk() - before).toBeGreaterThan(21)
    await engine.close()
    expect(reported).toBe(onDisk())
  })
})
