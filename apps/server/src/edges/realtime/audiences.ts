import type { ConversationId, TenantId, UserId } from '@sotto/protocol'
import { createBoundedMap } from '../../platform/crypto/bounded-map.ts'

/** Who receives a conversation, and from which seq on. Held in memory while it is in use; membership entries renew it. */
export type Audience = ReadonlyMap<UserId, number>

/** By tenant and conversation: clients make the ids of conversations, so two tenants may have the same. */
export interface Audiences {
  /** From memory, without waiting; undefined when it must be loaded. */
  known(tenantId: TenantId, conversationId: ConversationId): Audience | undefined
  /** @param isInDoubt  a change may be under way: its end is waited for */
  load(tenantId: TenantId, conversationId: ConversationId, isInDoubt?: boolean): Promise<Audience>
  forget(tenantId: TenantId, conversationId: ConversationId): void
}

const AUDIENCES_MAX = 20_000

export function createAudiences(
  read: (tenantId: TenantId, conversationId: ConversationId, isInDoubt: boolean) => Promise<Audience>,
): Audiences {
  const audiences = createBoundedMap<Audience>(AUDIENCES_MAX)
  /** Loads under way. `forget` takes a key away: what was read before is not kept after. */
  const loading = new Map<string, symbol>()
  const keyOf = (tenantId: TenantId, conversationId: ConversationId) => `${tenantId}/${conversationId}`
  return {
    known: (tenantId, conversationId) => audiences.get(keyOf(tenantId, conversationId)),
    async load(tenantId, conversationId, isInDoubt = false) {
      const key = keyOf(tenantId, conversationId)
      const load = Symbol('load')
      loading.set(key, load)
      try {
        const audience = await read(tenantId, conversationId, isInDoubt)
        if (loading.get(key) === load) audiences.set(key, audience)
        return audience
      } finally {
        if (loading.get(key) === load) loading.delete(key)
      }
    },
    forget(tenantId, conversationId) {
      const key = keyOf(tenantId, conversationId)
      loading.delete(key)
      audiences.delete(key)
    },
  }
}
