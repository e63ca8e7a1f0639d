import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ConversationId, TeamId, UserId } from '@sotto/protocol'
import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../../../../../packages/testkit/src/databases.ts'
import { TEST_PASSWORD } from '../../../../../packages/testkit/src/test-server.ts'
import { openWard, type Clinic, type Ward } from './ward.testing.ts'

/** Words that stand nowhere else, in the places where people write. */
const CANARIES = {
  message: 'xylophonic-murmuration-of-the-left-knee',
  title: 'quixotic-title-about-a-biopsy',
  userName: 'Zephyrine Quockerwodger',
  login: 'zephyrine.quockerwodger@clinic.example',
  deviceName: 'Zephyrines-lavender-telephone',
  teamName: 'Borborygmus outpatient team',
} as const

/** What a text would look like if it were kept in the clear: as text, as wide text, as base64 at any offset, as hex. */
function formsOf(text: string): readonly Buffer[] {
  const utf8 = Buffer.from(text, 'utf8')
  const wide = Buffer.from(text, 'utf16le')
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), utf8])
      .toString('base64')
      .replaceAll('=', '')
    // What depends on the neighbours at either end is left out.
    return Buffer.from(encoded.slice(offset === 0 ? 0 : 4, -4))
  })
  const hex = utf8.toString('hex')
  return [utf8, wide, wide.swap16(), ...base64, Buffer.from(hex), Buffer.from(hex.toUpperCase())]
}

async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

const forms = Object.entries(CANARIES).map(([what, text]) => [what, formsOf(text)] as const)

/** @returns "what: where" of each hit */
function hitsIn(bytes: Buffer, where: string): readonly string[] {
  return forms.flatMap(([what, forms]) => (forms.some((form) => bytes.includes(form)) ? [`${what}: ${where}`] : []))
}

async function searchFolder(folder: string): Promise<{ readonly hits: readonly string[]; readonly bytes: number }> {
  const hits: string[] = []
  let bytes = 0
  for (const path of await filesIn(folder)) {
    const content = await readFile(path).catch(() => Buffer.alloc(0))
    bytes += content.byteLength
    hits.push(...hitsIn(content, path.slice(folder.length)))
  }
  return { hits, bytes }
}

/** Everything a person can write is written, read, changed and searched for. */
async function plant(ward: Ward, clinic: Clinic): Promise<ConversationId> {
  const { operations, ids } = ward
  const { ada, alice, bob, cora } = clinic
  const userId = ids.next<UserId>()
  const teamId = ids.next<TeamId>()
  await operations.createTeam(ada.ctx, { teamId, name: CANARIES.teamName })
  const { login, userName: displayName } = CANARIES
  await operations.createUser(ada.ctx, { userId, login, displayName, role: 'patient', teamIds: [teamId] })
  const { token } = await operations.createSignInLink(ada.ctx, { userId })
  const device = { name: CANARIES.deviceName }
  const origin = { requestId: 'canary', address: null }
  await operations.redeemSignInLink(origin, { token, password: TEST_PASSWORD, device, refreshTokenIn: 'body' })
  const { conversationId } = await ward.begin(alice, [bob], { title: CANARIES.title, subjectUserId: userId })
  for (let count = 0; count < 20; count++) await ward.say(alice, conversationId, `${count}: ${CANARIES.message}`)
  await operations.updateConversation(alice.ctx, { conversationId, title: `${CANARIES.title}, again` })
  await operations.listEntries(bob.ctx, { conversationId, limit: 100 })
  await operations.listUsers(alice.ctx, { limit: 100 })
  await operations.updateUser(ada.ctx, { userId, displayName: `${CANARIES.userName} the second` })
  // Failures quote values in PostgreSQL's own messages: they must not reach a log either.
  await operations
    .createUser(ada.ctx, { userId: ids.next<UserId>(), login, displayName, role: 'clinician', teamIds: [] })
    .catch(() => {})
  await operations.listAuditEvents(cora.ctx, { limit: 100 })
  return conversationId
}

test('the search itself finds what is kept in the clear, in every form', () => {
  for (const form of formsOf(CANARIES.message)) {
    const hay = Buffer.concat([Buffer.from('hay'), form, Buffer.from('hay')])
    expect(hitsIn(hay, 'here')).toEqual(['message: here'])
  }
  const inRow = Buffer.from(JSON.stringify({ v: 1, text: CANARIES.message })).toString('base64')
  expect(hitsIn(Buffer.from(inRow), 'here')).toEqual(['message: here'])
})

describe('nothing that people write is found', () => {
  async function searchPostgres(): Promise<void> {
    await using ward = await openWard('postgres')
    await plant(ward, await ward.createClinic())
    const { stdout } = await promisify(execFile)('pg_dump', ['--dbname', ward.server.adminUrl!], {
      maxBuffer: 1 << 30,
      encoding: 'buffer',
    })
    expect(hitsIn(stdout, 'dump')).toEqual([])
    expect(stdout.includes('COPY sotto.entry ')).toBe(true)
    const [where] = await ward.ownerQuery(
      `select current_setting('data_directory') as data, oid::text as oid from pg_database where datname = current_database()`,
    )
    // Before the checkpoint the rows are in the log, after it in the files of the tables.
    const log = await searchFolder(join(String(where!['data']), 'pg_wal'))
    await ward.ownerQuery('checkpoint')
    const tables = await searchFolder(join(String(where!['data']), 'base', String(where!['oid'])))
    expect([log.hits, tables.hits]).toEqual([[], []])
    expect(Math.min(log.bytes, tables.bytes)).toBeGreaterThan(1_000_000)
  }

  async function searchEmbedded(): Promise<void> {
    await using ward = await openWard('pglite')
    const folder = ward.server.env['SOTTO_DATA_DIR']!
    await plant(ward, await ward.createClinic())
    // With the log of the database as it stands: what a kill at this moment leaves.
    const running = await searchFolder(folder)
    await ward.ownerQuery('checkpoint')
    const checkpointed = await searchFolder(folder)
    expect([running.hits, checkpointed.hits]).toEqual([[], []])
    expect(running.bytes).toBeGreaterThan(10_000_000)
    const rows = await ward.ownerQuery('select count(*)::int as entries from sotto.entry')
    expect(rows[0]!['entries']).toBeGreaterThan(20)
  }

  const search = { pglite: searchEmbedded, postgres: searchPostgres }
  test.each(databaseKinds)(
    'on %s: not in its files, with its log as a kill leaves them, not after a checkpoint, not in a dump',
    { timeout: 120_000 },
    (kind) => search[kind](),
  )
})

describe.each(databaseKinds)('on %s: what was moved or changed behind the server’s back does not open', (kind) => {
  test('a body in another entry, conversation or tenant; a title of another; an audit body of another event', async () => {
    await using ward = await openWard(kind)
    const clinics = [await ward.createClinic(), await ward.createClinic()] as const
    const [{ alice, bob, cora }] = clinics
    const one = await ward.begin(alice, [bob], { title: 'One' })
    const two = await ward.begin(alice, [bob], { title: 'Two' })
    const other = await ward.begin(clinics[1].alice, [clinics[1].bob])
    for (const { conversationId } of [one, two]) {
      await ward.say(alice, conversationId, 'first')
      await ward.say(alice, conversationId, 'second')
    }
    await ward.say(clinics[1].alice, other.conversationId, 'of another clinic')
    const { conversationId } = one
    const read = () => ward.call(bob, 'listEntries', { conversationId })
    const original = await ward.ownerQuery(
      'select body_ciphertext from sotto.entry where conversation_id = $1 and seq = 2',
      [conversationId],
    )
    const put = (body: unknown) =>
      ward.ownerQuery('update sotto.entry set body_ciphertext = $2 where conversation_id = $1 and seq = 2', [
        conversationId,
        body,
      ])
    for (const [from, seq] of [
      [one.conversationId, 3],
      [two.conversationId, 2],
      [other.conversationId, 2],
    ] as const) {
      const rows = await ward.ownerQuery(
        'select body_ciphertext from sotto.entry where conversation_id = $1 and seq = $2',
        [from, seq],
      )
      await put(rows[0]!['body_ciphertext'])
      expect(await read()).toMatchObject({ status: 500, body: { code: 'keys/tampered' } })
    }
    const flipped = Buffer.from(original[0]!['body_ciphertext'] as Uint8Array)
    flipped[flipped.length - 1]! ^= 1
    await put(flipped)
    expect(await read()).toMatchObject({ status: 500, body: { code: 'keys/tampered' } })
    await put(original[0]!['body_ciphertext'])
    expect((await read()).status).toBe(200)

    await ward.ownerQuery(
      `update sotto.conversation set title_encrypted = (select title_encrypted from sotto.conversation where conversation_id = $2)
       where conversation_id = $1`,
      [conversationId, two.conversationId],
    )
    const moved = await ward.call(bob, 'getConversation', { conversationId })
    expect(moved).toMatchObject({ status: 500, body: { code: 'keys/tampered' } })

    // In the trail every event says for itself whether it is what was recorded, and the others are found all the same.
    const events = await ward.trail(clinics[0], { resourceId: two.conversationId, action: 'message.send' })
    const [first, second] = events.map(({ auditEventId }) => auditEventId)
    await ward.ownerQuery(
      `update sotto.audit_body set body_encrypted = (select body_encrypted from sotto.audit_body where audit_event_id = '${second}')
       where audit_event_id = '${first}'`,
    )
    const found = await ward.trail(clinics[0], { resourceId: two.conversationId, action: 'message.send' })
    expect(found.map(({ details }) => details['broken'] ?? false)).toEqual([true, false])
    for (const change of [
      `update sotto.audit_event set commitment = sha256(commitment) where audit_event_id = '${second}'`,
      `update sotto.audit_event set outcome = 'refused' where audit_event_id = '${second}'`,
    ]) {
      await ward.ownerQuery(change)
      const event = await ward.operations.getAuditEvent(cora.ctx, { auditEventId: second! })
      expect(event.details).toEqual({ broken: true })
    }
    const searches = await ward.operations.listAuditEvents(cora.ctx, { limit: 20, action: 'audit-event.list' })
    expect(searches.items.some(({ details }) => details['broken'] === 1)).toBe(true)
  })
})
