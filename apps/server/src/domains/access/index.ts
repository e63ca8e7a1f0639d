/** The door of the access room. */
export { createAccess, GRANT_LIFE_MS, type Access, type ConversationDecision } from './authorize.ts'
export type { FactSources, MembershipFacts, SessionFacts } from './facts.ts'
export {
  listCapabilities,
  mayManage,
  POLICY_VERSION,
  type ConversationAction,
  type DirectoryAction,
  type TenantAction,
} from './policy.ts'
export { createKeptDecisions, type KeptDecisions } from './kept-decisions.ts'
