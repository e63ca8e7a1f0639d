/** People in every role and every relation to one conversation, on a real server. */

import type { ConversationId, DeviceId, EntryId, Role, TeamId, UserId } from '@sotto/protocol'
import { compose, loadConfig, openKeyring } from '@sotto/server'
import { TEST_ARGON2, TEST_PASSWORD, type Clinic, type Person, type TestServer } from '@sotto/testkit'
import { createLog } from '../../../apps/server/src/platform/log/log.ts'
import { instant, systemClock } from '../../../apps/server/src/platform/time/clock.ts'

export const roles = [
  'administrator',
  'compliance-officer',
  'clinician',
  'patient',
  'service',
] as const satisfies Role[]

export interface Hand extends Person {
  readonly slug: string
  /** Changes when the person changes it. */
  password: string
}

export const origin = { requestId: 'conformance', address: null }
export type ByRole = Readonly<Record<Role, Hand>>

/** One more person of the clinic, signed in. */
export async function hire(server: TestServer, clinic: Clinic, login: string, role: Role): Promise<Hand> {
  const { operations, ids } = server.composition
  const userId = ids.next<UserId>()
  await operations.createUser(clinic.ada.ctx, {
    userId,
    login,
    displayName: `${login} of the clinic`,
    role,
    teamIds: [],
  })
  const { token } = await operations.createSignInLink(clinic.ada.ctx, { userId })
  const signedIn = await operations.redeemSignInLink(origin, {
    token,
    password: TEST_PASSWORD,
    device: { name: `${login}'s device` },
    refreshTokenIn: 'body',
  })
  return asHand(server, clinic.slug, login, signedIn.accessToken.reveal(), TEST_PASSWORD)
}

export async function hireOfEachRole(server: TestServer, clinic: Clinic, prefix: string): Promise<ByRole> {
  const hired = {} as Record<Role, Hand>
  for (const role of roles) hired[role] = await hire(server, clinic, `${prefix}-${role}`, role)
  return hired
}

/** A device at which somebody has signed in before, and which can prove that. */
export interface ProvenDevice {
  readonly deviceId: DeviceId
  readonly deviceSecret: string
}

/** A new session of somebody who has signed in before: at a new device, unless told at which. */
export async function signIn(server: TestServer, { slug, login, password }: Hand, at?: ProvenDevice) {
  const device = { name: 'another device', ...at }
  const input = { tenant: slug, login, password, device, refreshTokenIn: 'body' as const }
  const signedIn = await server.composition.operations.createSession(origin, input)
  const { session } = signedIn
  const hand = await asHand(server, slug, login, signedIn.accessToken.reveal(), password)
  const deviceSecret = signedIn.deviceSecret?.reveal() ?? at?.deviceSecret
  const proven: ProvenDevice = { deviceId: session.deviceId, deviceSecret: deviceSecret! }
  return { hand, refreshToken: signedIn.refreshToken.reveal(), session, device: proven }
}

export function handOf(clinic: Clinic, person: Person): Hand {
  return { ...person, slug: clinic.slug, password: TEST_PASSWORD }
}

/** The same person with a token that was good once: made by the same deployment, some minutes ago. */
export async function withExpiredToken(server: TestServer, hand: Hand): Promise<Hand> {
  const config = loadConfig(server.env)
  const minutesAgo = { ...systemClock, now: () => instant(systemClock.now() - 400_000) }
  const past = compose({
    config,
    db: server.composition.db,
    keyring: await openKeyring(config, { mayCreate: false }),
    log: createLog({ level: 'silent' }),
    clock: minutesAgo,
    deploymentId: deploymentOf(hand.accessToken),
    argon2: TEST_ARGON2,
  })
  const { slug, login, password } = hand
  const input = { tenant: slug, login, password, device: { name: 'old device' }, refreshTokenIn: 'body' as const }
  const signedIn = await past.operations.createSession(origin, input)
  return { ...hand, accessToken: signedIn.accessToken.reveal() }
}

/** It stands in every token as the issuer. */
function deploymentOf(accessToken: string): string {
  const claims = JSON.parse(Buffer.from(accessToken.split('.')[1]!, 'base64url').toString()) as { readonly iss: string }
  return claims.iss.replace('urn:sotto:', '')
}

async function asHand(server: TestServer, slug: string, login: string, accessToken: string, password: string) {
  const ctx = await server.composition.identity.authenticate(accessToken, origin)
  return { login, slug, password, accessToken, ctx, userId: ctx.userId, role: ctx.role }
}

export interface Ward {
  readonly conversationId: ConversationId
  readonly teamId: TeamId
  /** Created the conversation, and is always in it. */
  readonly host: Hand
}

/** A group about a patient, with one entry that somebody wrote, and a team. */
export async function openWard(server: TestServer, clinic: Clinic, memberIds: readonly UserId[]): Promise<Ward> {
  const { operations, ids } = server.composition
  const conversationId = ids.next<ConversationId>()
  const teamId = ids.next<TeamId>()
  await operations.createTeam(clinic.ada.ctx, { teamId, name: 'Ward 3' })
  await operations.createConversation(clinic.grace.ctx, {
    conversationId,
    kind: 'group',
    mode: 'managed',
    title: 'Morning round',
    subjectUserId: clinic.carmen.userId,
    history: 'full',
    memberIds: [...memberIds],
  })
  await operations.sendMessage(clinic.grace.ctx, {
    conversationId,
    entryId: ids.next<EntryId>(),
    payload: { v: 1, type: 'text', text: 'Good morning' },
    header: { priority: 'routine', notify: 'normal' },
  })
  return { conversationId, teamId, host: handOf(clinic, clinic.grace) }
}
