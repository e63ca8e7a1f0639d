import type { AuditEvent, ConversationId, Entry } from '@sotto/protocol'
import type { DemoSignIns } from '@sotto/testkit'
import { expect } from 'vitest'
import { call, listConversations, readLog, signIn, type OtherActs, type Sender } from './senders.ts'

/**
 * The judge of every fault: each message that was acknowledged stands in its log once, at the seq that was told; what was
 * sent at all stands there at most once; each log is gapless; the audit trail has one record for each entry and for each
 * cursor that was moved, and each read that was answered; and no cursor that was acknowledged stands further back.
 */
export async function checkHistory(
  url: string,
  demo: DemoSignIns,
  senders: readonly Sender[],
): Promise<{ readonly acknowledged: number; readonly entries: number }> {
  const logs = await readLogs(url, demo, senders)
  const entries = [...logs.values()].flat()
  for (const log of logs.values())
    expect(
      log.map((entry) => entry.seq),
      'a log without gaps',
    ).toEqual(log.map((_, index) => index + 1))
  const byId = Map.groupBy(entries, (entry) => entry.entryId)
  expect(
    [...byId.values()].filter((same) => same.length > 1),
    'no entry twice',
  ).toEqual([])
  for (const sender of senders) {
    for (const { entryId, seq, text, conversationId } of sender.acknowledged) {
      const [entry] = byId.get(entryId) ?? []
      expect(entry, `acknowledged as ${seq} and lost`).toMatchObject({ seq, conversationId, payload: { text } })
    }
    for (const [entryId, text] of sender.tried)
      expect(byId.get(entryId)?.[0]?.payload ?? { text }, 'nobody else’s words').toMatchObject({ text })
  }
  await checkAudit(url, demo, logs)
  await checkOtherActs(url, demo, senders)
  return { acknowledged: senders.reduce((sum, sender) => sum + sender.acknowledged.length, 0), entries: entries.length }
}

async function readLogs(
  url: string,
  demo: DemoSignIns,
  senders: readonly Sender[],
): Promise<ReadonlyMap<ConversationId, readonly Entry[]>> {
  const logs = new Map<ConversationId, readonly Entry[]>()
  for (const { login } of senders) {
    const accessToken = await signIn(url, demo, login)
    for (const { conversationId, lastSeq } of await listConversations(url, accessToken)) {
      if (logs.has(conversationId)) continue
      const log = await readLog(url, accessToken, conversationId)
      expect(log.at(-1)?.seq, 'the log ends where the conversation says').toBe(lastSeq)
      logs.set(conversationId, log)
    }
  }
  return logs
}

/** Acts and records are equal: no entry without its record, no record (but of repeats) without its entry. */
async function checkAudit(
  url: string,
  demo: DemoSignIns,
  logs: ReadonlyMap<ConversationId, readonly Entry[]>,
): Promise<void> {
  const accessToken = await signInOfficer(url, demo)
  for (const [conversationId, log] of logs) {
    const records = await readEvents(url, accessToken, `action=message.send&resourceId=${conversationId}`)
    const recorded = records
      .filter((event) => event.details['repeat'] !== true)
      .map((event) => String(event.details['entryId']))
    const sent = log.filter((entry) => entry.kind === 'application').map((entry) => String(entry.entryId))
    expect(recorded.toSorted(), 'one audit record for each entry').toEqual(sent.toSorted())
  }
}

/** Each answered act has its record, no cursor move has two, and none is recorded that nobody asked for. */
async function checkOtherActs(url: string, demo: DemoSignIns, senders: readonly Sender[]): Promise<void> {
  const officer = await signInOfficer(url, demo)
  expect(senders.flatMap(({ others }) => others.movesAcknowledged).length, 'cursors moved').toBeGreaterThan(0)
  for (const { login, others } of senders) {
    const conversations = await listConversations(url, await signIn(url, demo, login))
    const actorUserId = conversations[0]!.cursor.userId
    for (const { conversationId, readSeq } of others.movesAcknowledged) {
      const conversation = conversations.find((one) => one.conversationId === conversationId)
      expect(
        conversation?.cursor.readSeq,
        'a cursor that was acknowledged and stands further back',
      ).toBeGreaterThanOrEqual(readSeq)
    }
    const readRecords = (action: string) => readEvents(url, officer, `action=${action}&actorUserId=${actorUserId}`)
    const keyOf = (conversationId: string | undefined, readSeq: unknown) => `${conversationId}/${String(readSeq)}`
    const recorded = (await readRecords('cursor.move'))
      .filter(({ resource, details }) => Number(details['readSeq']) > (others.from.get(resource?.id as never) ?? 0))
      .map(({ resource, details }) => keyOf(resource?.id, details['readSeq']))
    const keys = (moves: OtherActs['movesTried']) => moves.map((move) => keyOf(move.conversationId, move.readSeq))
    expect(new Set(recorded).size, 'no cursor move recorded twice').toBe(recorded.length)
    expect(
      keys(others.movesAcknowledged).filter((key) => !recorded.includes(key)),
      'moves without a record',
    ).toEqual([])
    expect(
      recorded.filter((key) => !keys(others.movesTried).includes(key)),
      'records without a move',
    ).toEqual([])
    for (const [action, answered] of [
      ['conversation.list', others.lists],
      ['conversation.sync', others.syncs],
    ] as const) {
      const requests = new Set((await readRecords(action)).map(({ requestId }) => requestId))
      expect(requests.size, `${action} that was answered and not recorded`).toBeGreaterThanOrEqual(answered)
    }
  }
}

async function signInOfficer(url: string, demo: DemoSignIns): Promise<string> {
  const officer = demo.people.find((person) => person.role === 'compliance-officer')!
  return signIn(url, demo, officer.login)
}

/** Successes, all pages. */
async function readEvents(url: string, accessToken: string, filter: string): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = []
  for (let after = ''; ;) {
    const query = `${filter}&outcome=success&limit=200${after && `&after=${after}`}`
    const page = await call<{ items: AuditEvent[]; next: string | null }>(
      url,
      'GET',
      `/v1/audit-events?${query}`,
      accessToken,
    )
    events.push(...page.items)
    if (page.next === null) return events
    after = page.next
  }
}
