import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'

/** Who receives a conversation, and from which seq on. Held in memory while it is in use; membership entries renew it. */
export type Audience = ReadonlyMap<UserId, number>

export interface Audiences {
  /** From memory, without waiting; undefined when it must be loaded. */
  known(conversationId: ConversationId): Audience | undefined
  load(tenantId: TenantId, conversationId: ConversationId): Promise<Audience>
  forget(conversationId: ConversationId): void
}

const AUDIENCES_MAX = 20_000

export function createAudiences(
  read: (tenantId: TenantId, conversationId: ConversationId) => Promise<Audience>,
): Audiences {
  const audiences = createBoundedMap<Audience>(AUDIENCES_MAX)
  /** Raised by `forget`: what was read before is not kept after. */
  const generations = createBoundedMap<number>(AUDIENCES_MAX)
  return {
    known: (conversationId) => audiences.get(conversationId),
    async load(tenantId, conversationId) {
      const generation = generations.get(conversationId) ?? 0
      const audience = await read(tenantId, conversationId)
      if ((generations.get(conversationId) ?? 0) === generation) audiences.set(conversationId, audience)
      return audience
    },
    forget(conversationId) {
      generations.set(conversationId, (generations.get(conversationId) ?? 0) + 1)
      audiences.delete(conversationId)
    },
  }
}
