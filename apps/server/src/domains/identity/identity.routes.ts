import type { InputOf, Operations } from '@sotto/protocol'
import type { Ctx, Origin } from '../../platform/context/context.ts'
import { changePassword } from './change-password.ts'
import { createSession } from './create-session.ts'
import { createSignInLink } from './create-sign-in-link.ts'
import { createSocketTicket } from './create-socket-ticket.ts'
import { createTeam } from './create-team.ts'
import { createUser } from './create-user.ts'
import { endSession } from './end-session.ts'
import { getUser } from './get-user.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { listDevices } from './list-devices.ts'
import { listSessions } from './list-sessions.ts'
import { listTeams } from './list-teams.ts'
import { listUsers } from './list-users.ts'
import { redeemSignInLink } from './redeem-sign-in-link.ts'
import { refreshSession } from './refresh-session.ts'
import { revokeDevice } from './revoke-device.ts'
import { updateUser } from './update-user.ts'

type Input<Id extends keyof Operations> = InputOf<Operations[Id]>

/** The operations of this room by their ids, for the edges. Those before a sign-in take the origin only. */
export function identityRoutes(deps: IdentityDeps) {
  return {
    createSession: (origin: Origin, input: Input<'createSession'>) => createSession(deps, origin, input),
    refreshSession: (origin: Origin, input: Input<'refreshSession'>) => refreshSession(deps, origin, input),
    redeemSignInLink: (origin: Origin, input: Input<'redeemSignInLink'>) => redeemSignInLink(deps, origin, input),
    listSessions: (ctx: Ctx, input: Input<'listSessions'>) => listSessions(deps, ctx, input),
    endSession: (ctx: Ctx, input: Input<'endSession'>) => endSession(deps, ctx, input),
    createSocketTicket: (ctx: Ctx) => createSocketTicket(deps, ctx),
    createSignInLink: (ctx: Ctx, input: Input<'createSignInLink'>) => createSignInLink(deps, ctx, input),
    changePassword: (ctx: Ctx, input: Input<'changePassword'>) => changePassword(deps, ctx, input),
    createUser: (ctx: Ctx, input: Input<'createUser'>) => createUser(deps, ctx, input),
    updateUser: (ctx: Ctx, input: Input<'updateUser'>) => updateUser(deps, ctx, input),
    getUser: (ctx: Ctx, input: Input<'getUser'>) => getUser(deps, ctx, input),
    listUsers: (ctx: Ctx, input: Input<'listUsers'>) => listUsers(deps, ctx, input),
    createTeam: (ctx: Ctx, input: Input<'createTeam'>) => createTeam(deps, ctx, input),
    listTeams: (ctx: Ctx, input: Input<'listTeams'>) => listTeams(deps, ctx, input),
    listDevices: (ctx: Ctx, input: Input<'listDevices'>) => listDevices(deps, ctx, input),
    revokeDevice: (ctx: Ctx, input: Input<'revokeDevice'>) => revokeDevice(deps, ctx, input),
  }
}
