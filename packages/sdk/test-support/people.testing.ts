import type { ConversationId, DeviceId, UserId } from '@sotto/protocol'

/** People and places of the tests. Ids have the form that the contract asks for. */
export const alice = '0197a000-0000-7000-8000-00000000a11c' as UserId
export const bob = '0197a000-0000-7000-8000-000000000b0b' as UserId
export const mallory = '0197a000-0000-7000-8000-00000000ba11' as UserId

export function device(number: number): DeviceId {
  return `0197a000-0000-7000-8000-d${String(number).padStart(11, '0')}` as DeviceId
}

export function place(number: number): ConversationId {
  return `0197a000-0000-7000-8000-c${String(number).padStart(11, '0')}` as ConversationId
}
