/** The door of the access room. */
export { createAccess, GRANT_LIFE_MS, type Access, type ConversationDecision } from './access.ts'
export type { FactSources, MembershipFacts, SessionFacts } from './facts.model.ts'
export {
  listCapabilities,
  mayManage,
  POLICY_VERSION,
  type ConversationAction,
  type DirectoryAction,
  type TenantAction,
} from './policy.model.ts'
export { createKeptDecisions, type KeptDecisions } from './kept-decisions.ts'
