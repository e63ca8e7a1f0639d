import * as audit from './audit.ts'
import * as conversations from './conversations.ts'
import * as identity from './identity.ts'
import * as messages from './messages.ts'
import * as meta from './meta.ts'
import type { Operation } from './operation.ts'
import * as presence from './presence.ts'

const { signedInSchema: _signedIn, ...identityOperations } = identity

/** Every HTTP operation by its id: the server registers exactly these, the reference documents exactly these. */
export const operations = {
  ...identityOperations,
  ...conversations,
  ...messages,
  ...presence,
  ...audit,
  ...meta,
} as const satisfies Record<string, Operation>

export type Operations = typeof operations
export type OperationId = keyof Operations
