import { capabilitySchema, type Capability, type Role } from '@sotto/protocol'
import type { Action } from '../../platform/grant/grant.ts'
import type { MembershipFacts, SessionFacts } from './facts.model.ts'

/**
 * The rules, as one table: what each action is done on, and who may. Default deny: an action without a row cannot be
 * authorised. The policy engine of a later release evaluates tenant policies behind the same function.
 */
export const POLICY_VERSION = 1

const everyone: readonly Role[] = ['administrator', 'compliance-officer', 'clinician', 'patient', 'service']
const staff: readonly Role[] = ['administrator', 'compliance-officer', 'clinician', 'service']

type ConversationRule = (session: SessionFacts, membership: MembershipFacts) => boolean

const member: ConversationRule = () => true
const caring: ConversationRule = (session) => mayManage(session.role)
const open: ConversationRule = (_session, { closed }) => !closed
const manager: ConversationRule = (_session, { memberRole }) => memberRole === 'manager'
const group: ConversationRule = (_session, { kind }) => kind === 'group'
const all =
  (...rules: readonly ConversationRule[]): ConversationRule =>
  (session, membership) =>
    rules.every((rule) => rule(session, membership))

/** Whom managing a conversation is any use to: the rules of a manager's acts ask for these roles, too. */
export function mayManage(role: Role): boolean {
  return role === 'clinician' || role === 'service'
}

/** On the tenant as a whole, or on the caller's own things: the role decides. */
export const tenantActions = {
  'user.create': ['administrator'],
  'user.update': ['administrator'],
  'sign-in-link.create': ['administrator'],
  'team.create': ['administrator'],
  'team.list': staff,
  'conversation.create': ['clinician', 'service'],
  'conversation.list': everyone,
  'conversation.sync': everyone,
  'session.list': everyone,
  'session.end': everyone,
  'socket-ticket.create': everyone,
  'password.change': everyone,
  'device.list': everyone,
  'device.revoke': everyone,
  'presence.set': everyone,
  'audit-event.list': ['compliance-officer'],
  'audit-event.get': ['compliance-officer'],
} as const satisfies Partial<Record<Action, readonly Role[]>>

/** On other users: staff see the tenant's directory, a patient sees those who share a conversation. */
export const directoryActions = {
  'user.get': staff,
  'user.list': staff,
  'presence.list': staff,
  'presence.watch': staff,
} as const satisfies Partial<Record<Action, readonly Role[]>>

/** On a conversation: membership first; who is no member sees nothing at all. */
export const conversationActions = {
  'conversation.get': member,
  'conversation.update': all(manager, caring),
  'entry.list': member,
  // Whether it is open is decided where the message is appended, after repeats of what was sent in time were recognised.
  'message.send': member,
  'member.list': member,
  'member.add': all(manager, caring, group, open),
  'member.remove': all(manager, caring, group),
  'cursor.list': member,
  'cursor.move': member,
  'typing.signal': open,
} as const satisfies Partial<Record<Action, ConversationRule>>

export type TenantAction = keyof typeof tenantActions
export type DirectoryAction = keyof typeof directoryActions
export type ConversationAction = keyof typeof conversationActions

/** What decides beside the rules whether an act would succeed now. */
export interface Offer extends MembershipFacts {
  /** Somebody else manages the conversation, too. */
  readonly hasOtherManager: boolean
  readonly membersMax: number
}

/** What the caller can do in a conversation: the same rules that will be asked when it is tried, and what else it takes. */
export function listCapabilities(session: SessionFacts, offer: Offer): readonly Capability[] {
  const { memberRole, memberCount, membersMax, hasOtherManager } = offer
  if (memberRole === undefined) return []
  // Those who stay need a manager.
  const mayGo = memberRole !== 'manager' || hasOtherManager || memberCount === 1
  const rules: Readonly<Record<Capability, ConversationRule>> = {
    ...conversationActions,
    'message.send': open,
    'member.add': all(conversationActions['member.add'], () => memberCount < membersMax),
    'member.leave': all(group, () => mayGo),
  }
  return capabilitySchema.options.filter((capability) => rules[capability](session, offer))
}
