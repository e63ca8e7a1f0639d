export { canonicalBytes, canonicalize, JCS_DEPTH_MAX } from './jcs.ts'
export type { CanonicalValue } from './jcs.ts'
export {
  AUDIT_SALT_BYTES,
  commitCanonicalEvent,
  commitmentInput,
  commitEvent,
  encodeLeaf,
  hashLeaf,
  isCommitmentOf,
  leafHashInput,
} from './commitment.ts'
export type { HmacSha256, Sha256 } from './commitment.ts'
