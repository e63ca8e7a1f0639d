import type { Role } from '@sotto/sdk'

/** Who is offered what. The server decides; this spares people buttons that would be refused. */
export function mayStartConversations(role: Role): boolean {
  return role === 'clinician'
}

export function mayReadAudit(role: Role): boolean {
  return role === 'compliance-officer'
}
