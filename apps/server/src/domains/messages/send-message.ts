import type { KeyObject } from 'node:crypto'
import { limitDefaults, type CommandInput, type Sent, type TenantId } from '@sotto/protocol'
import { scopeOf, type Ctx } from '../../platform/context/context.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import { keyedHash } from '../../platform/crypto/primitives.ts'
import type { Db } from '../../platform/db/tx.ts'
import { problem } from '../../platform/problem/problem.ts'
import { instant } from '../../platform/time/clock.ts'
import type { KeptDecisions } from '../access/index.ts'
import { encodePayload, sealBody, type Appender, type ConversationKeys } from '../conversations/index.ts'
import type { KeyAccess } from '../keys/index.ts'

export interface SendDeps {
  readonly db: Db
  readonly sealer: Sealer
  readonly kept: KeptDecisions
  readonly appender: Appender
  readonly keys: ConversationKeys & {
    getIndexKey(access: KeyAccess, tenantId: TenantId, purpose: 'idempotency'): Promise<KeyObject>
  }
}

type Input = CommandInput<'message.send'>

/**
 * Appends one message to a conversation and makes it known to every member's devices.
 *
 * @param input.entryId  UUIDv7 made by the client; a repeat with the same content answers the same seq
 * @param input.payload  1 B … `messageBytesMax` as UTF-8 JSON
 * @returns seq          position in the conversation, 1-based, gapless; answered after the commit
 * @throws  messages/too-large 413 · messages/entry-conflict 409 · conversations/closed 409 · access/not-found 404
 * @effects entry, entry_idempotency, member count, audit `message.send`, in one transaction shared with other sends
 * @control 45 CFR 164.312(b), 164.312(a)(2)(iv)
 */
export async function sendMessage(deps: SendDeps, ctx: Ctx, input: Input): Promise<Sent> {
  const body = checkSendMessage(input)
  const { grant, membership } = await deps.kept.authorizeConversation(ctx, 'message.send', input.conversationId)
  const keys = await loadKeys(deps, ctx, input, membership.keyEpoch)
  const { entryId, header, conversationId } = input
  return deps.appender.append(ctx, grant, {
    entryId,
    kind: 'application',
    header: { counts: true, ...header },
    clientSentAt: input.clientSentAt === undefined ? null : instant(Date.parse(input.clientSentAt)),
    bodyHash: keyedHash(keys.index, 'entry', body, JSON.stringify(header)),
    auditAction: grant.action,
    subjectUserId: membership.subjectUserId,
    sealed: {
      keyEpoch: membership.keyEpoch,
      body: sealBody(deps.sealer, keys.data, { tenantId: ctx.tenantId, conversationId, entryId }, body),
    },
  })
}

/** @returns the payload as it will be sealed @throws messages/too-large */
export function checkSendMessage(input: Input): Buffer {
  const body = encodePayload(input.payload)
  if (body.byteLength > limitDefaults.messageBytesMax) throw problem('messages/too-large')
  return body
}

/** One transaction when the keys are not in memory, none when they are. */
async function loadKeys(deps: SendDeps, ctx: Ctx, input: Input, epoch: number) {
  const access: KeyAccess = (read) => deps.db.withTx(scopeOf(ctx), read)
  const [data, index] = await Promise.all([
    deps.keys.getConversationKey(access, ctx.tenantId, input.conversationId, epoch),
    deps.keys.getIndexKey(access, ctx.tenantId, 'idempotency'),
  ])
  return { data, index }
}
