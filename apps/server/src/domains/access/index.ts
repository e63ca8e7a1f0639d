/** The door of the access room. */
export { createAccess, type Access } from './access.ts'
export type { FactSources, SessionFacts } from './facts.model.ts'
export { createKeptDecisions, type KeptDecisions } from './kept-decisions.ts'
export { listCapabilities, mayManage } from './policy.model.ts'
