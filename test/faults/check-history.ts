import type { AuditEvent, ConversationId, Entry } from '@sotto/protocol'
import type { DemoSignIns } from '@sotto/testkit'
import { expect } from 'vitest'
import { call, listConversations, readLog, signIn, type Sender } from './senders.ts'

/**
 * The judge of every fault: each message that was acknowledged stands in its log once, at the seq that was told; what was
 * sent at all stands there at most once; each log is gapless; and the audit trail has one record for each entry.
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
  const officer = demo.people.find((person) => person.role === 'compliance-officer')!
  const accessToken = await signIn(url, demo, officer.login)
  for (const [conversationId, log] of logs) {
    const records = await readSends(url, accessToken, conversationId)
    const recorded = records
      .filter((event) => event.details['repeat'] !== true)
      .map((event) => String(event.details['entryId']))
    const sent = log.filter((entry) => entry.kind === 'application').map((entry) => String(entry.entryId))
    expect(recorded.toSorted(), 'one audit record for each entry').toEqual(sent.toSorted())
  }
}

async function readSends(
  url: string,
  accessToken: string,
  conversationId: ConversationId,
): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = []
  for (let after = ''; ;) {
    const query = `action=message.send&outcome=success&resourceId=${conversationId}&limit=200${after && `&after=${after}`}`
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
