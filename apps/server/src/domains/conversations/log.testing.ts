import type { AuditEvent, ConversationId, EntryId, Sent } from '@sotto/protocol'
import { expect } from 'vitest'
import type { Person, Ward } from './ward.testing.ts'

/** What the tests of the log share: sends, the log as its readers see it, and what it promises. */

export interface Message {
  readonly conversationId: ConversationId
  readonly entryId: EntryId
  readonly text: string
  readonly urgent?: boolean
}

export function sendOne(ward: Ward, who: Person, { conversationId, entryId, text, urgent }: Message): Promise<Sent> {
  return ward.commands.sendMessage(who.ctx, {
    conversationId,
    entryId,
    payload: { v: 1, type: 'text', text },
    header: { priority: urgent === true ? 'critical' : 'routine', notify: 'normal' },
  })
}

export interface LogItem {
  readonly seq: number
  readonly countable: number
  readonly entryId: EntryId
  readonly header: { readonly counts: boolean }
}

export async function readLog(ward: Ward, who: Person, conversationId: ConversationId): Promise<readonly LogItem[]> {
  const items: LogItem[] = []
  for (;;) {
    const input = { conversationId, afterSeq: items.at(-1)?.seq ?? 0, limit: 200 }
    const page = (await ward.operations.listEntries(who.ctx, input)) as { items: LogItem[] }
    items.push(...page.items)
    if (page.items.length < 200) return items
  }
}

/** 1, 2, 3 … without a gap, and a countable number that rises with exactly the entries that count. */
export function expectGapless(log: readonly LogItem[]): void {
  let countable = 0
  log.forEach((entry, index) => {
    countable += entry.header.counts ? 1 : 0
    expect([entry.seq, entry.countable]).toEqual([index + 1, countable])
  })
  expect(new Set(log.map(({ entryId }) => entryId)).size).toBe(log.length)
}

export const sendsIn = (events: readonly AuditEvent[]): readonly AuditEvent[] =>
  events.filter(({ action }) => action === 'message.send')

/** From now on the database refuses entries of the highest priority. */
export async function poisonEntries(ward: Ward): Promise<AsyncDisposable> {
  await ward.ownerQuery(
    `create function sotto.poison() returns trigger language plpgsql as $$
     begin
       if new.header ->> 'priority' = 'critical' then raise exception 'the database refuses this'; end if;
       return new;
     end $$;
     create trigger poison before insert on sotto.entry for each row execute function sotto.poison()`,
  )
  return {
    async [Symbol.asyncDispose]() {
      await ward.ownerQuery('drop function sotto.poison() cascade')
    },
  }
}
