import type { AuditEvent } from './audit-filter.ts'

type Action = AuditEvent['action']

/** In the order in which an officer looks for them. A new action of the contract that is missing here does not compile. */
const order = {
  'message.send': 1,
  'entry.list': 1,
  'delivery.open': 1,
  'delivery.close': 1,
  'conversation.get': 1,
  'conversation.list': 1,
  'conversation.sync': 1,
  'conversation.create': 1,
  'conversation.update': 1,
  'member.add': 1,
  'member.remove': 1,
  'member.list': 1,
  'cursor.move': 1,
  'cursor.list': 1,
  'typing.signal': 1,
  'session.create': 1,
  'session.refresh': 1,
  'session.end': 1,
  'session.list': 1,
  'socket-ticket.create': 1,
  'socket.open': 1,
  'socket.close': 1,
  'sign-in-link.create': 1,
  'sign-in-link.redeem': 1,
  'password.change': 1,
  'device.list': 1,
  'device.revoke': 1,
  'user.get': 1,
  'user.list': 1,
  'user.create': 1,
  'user.update': 1,
  'team.create': 1,
  'team.list': 1,
  'presence.set': 1,
  'presence.watch': 1,
  'presence.list': 1,
  'audit-event.list': 1,
  'audit-event.get': 1,
  'request.refuse': 1,
  'tenant.create': 1,
  'key.rotate': 1,
  'deployment.start': 1,
  'deployment.stop': 1,
} as const satisfies Readonly<Record<Action, 1>>

export const auditActions = Object.keys(order) as readonly Action[]
export const auditOutcomes = ['success', 'refused', 'failed'] as const satisfies readonly AuditEvent['outcome'][]
