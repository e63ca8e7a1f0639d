import type { Role, TeamId, UserId } from '@sotto/protocol'

/** Sign-in names are compared without case and in one Unicode form (as RFC 8265 §3.3 does). */
export function normalizeLogin(login: string): string {
  return login.trim().normalize('NFKC').toLowerCase()
}

export interface StoredUser {
  readonly user_id: UserId
  readonly display_name_encrypted: Buffer
  readonly role: Role
  readonly active: boolean
}

export interface StoredTeam {
  readonly team_id: TeamId
  readonly name_encrypted: Buffer
}

export interface StoredTeamOfUser extends StoredTeam {
  readonly user_id: UserId
}

/** The patient whom an act on this user concerns: nobody when the user is none. */
export function subjectOf(user: { readonly user_id: UserId; readonly role: Role }): UserId | null {
  return user.role === 'patient' ? user.user_id : null
}

/**
 * A patient stays a patient, and staff stay staff: a patient's names hang on the patient's own key, and what a nurse sees of
 * her own record as a patient is another relation than her work. Who is both has two users.
 */
export function mayTurnInto(from: Role, to: Role): boolean {
  return (from === 'patient') === (to === 'patient')
}
