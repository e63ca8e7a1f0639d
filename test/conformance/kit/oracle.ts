/**
 * Who may do what, written down from the design and not from the code: the table that the matrix holds the server against.
 *
 * One line for each HTTP operation and each socket command (some twice: on the caller's own things and on another's). Eight
 * columns say in which relation to a group the caller stands; the five letters of a column are the five roles:
 * administrator, compliance officer, clinician, patient, service.
 *
 *   y  it is done (and a list shows what it is about)      n  403 access/denied
 *   h  it is done, and shows nothing of what is hidden     .  404, the very answer to what does not exist
 *   u  400 conversations/unknown-user                      s  401 identity/session-ended
 *   e  401 identity/token-expired                          a  401 identity/unauthenticated
 *   t  401 identity/ticket-invalid: no socket opens
 *
 * | relation | |
 * |---|---|
 * | manager, participant | a member of the group now |
 * | removed | was a member, and was removed |
 * | stranger | of the same tenant, never a member |
 * | elsewhere | of another tenant |
 * | revoked | a manager, whose session was ended |
 * | expired | a manager, whose access token has expired |
 * | nobody | brings no token |
 */
import type { Role } from '@sotto/protocol'

export const relations = [
  'manager',
  'participant',
  'removed',
  'stranger',
  'elsewhere',
  'revoked',
  'expired',
  'nobody',
] as const
export type Relation = (typeof relations)[number]

const order: readonly Role[] = ['administrator', 'compliance-officer', 'clinician', 'patient', 'service']

const table = `
                              manager participant removed stranger elsewhere revoked expired nobody
getLimits                     yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
getOpenApi                    yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
getAsyncApi                   yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
listProblems                  yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
createSession                 yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
refreshSession                yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy
redeemSignInLink              yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     yyyyy   yyyyy   yyyyy

listSessions                  yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
endSession own                yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
endSession another's          y....   y....       y....   y....    .....     sssss   eeeee   aaaaa
createSocketTicket            yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
listDevices                   yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
revokeDevice own              yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
revokeDevice another's        y....   y....       y....   y....    .....     sssss   eeeee   aaaaa
changePassword own            yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     sssss   eeeee   aaaaa
changePassword another's      .....   .....       .....   .....    .....     sssss   eeeee   aaaaa

createUser                    ynnnn   ynnnn       ynnnn   ynnnn    ynnnn     sssss   eeeee   aaaaa
updateUser                    ynnnn   ynnnn       ynnnn   ynnnn    .nnnn     sssss   eeeee   aaaaa
createSignInLink              ynnnn   ynnnn       ynnnn   ynnnn    .nnnn     sssss   eeeee   aaaaa
createTeam                    ynnnn   ynnnn       ynnnn   ynnnn    ynnnn     sssss   eeeee   aaaaa
listTeams                     yyyny   yyyny       yyyny   yyyny    hhhnh     sssss   eeeee   aaaaa
getUser                       yyyyy   yyyyy       yyy.y   yyy.y    .....     sssss   eeeee   aaaaa
listUsers                     yyyyy   yyyyy       yyyhy   yyyhy    hhhhh     sssss   eeeee   aaaaa
listPresence                  yyyyy   yyyyy       yyyhy   yyyhy    hhhhh     sssss   eeeee   aaaaa
listAuditEvents               nynnn   nynnn       nynnn   nynnn    nhnnn     sssss   eeeee   aaaaa
getAuditEvent                 nynnn   nynnn       nynnn   nynnn    n.nnn     sssss   eeeee   aaaaa

createConversation            nnyny   nnyny       nnyny   nnyny    nnunu     sssss   eeeee   aaaaa
listConversations             yyyyy   yyyyy       hhhhh   hhhhh    hhhhh     sssss   eeeee   aaaaa
syncConversations             yyyyy   yyyyy       hhhhh   hhhhh    hhhhh     sssss   eeeee   aaaaa
getConversation               yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
updateConversation            nnyny   nnnnn       .....   .....    .....     sssss   eeeee   aaaaa
listMembers                   yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
addMember                     nnyny   nnnnn       .....   .....    .....     sssss   eeeee   aaaaa
removeMember another          nnyny   nnnnn       .....   .....    .....     sssss   eeeee   aaaaa
removeMember leaving          yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
sendMessage                   yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
listEntries                   yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
listCursors                   yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa
moveCursor                    yyyyy   yyyyy       .....   .....    .....     sssss   eeeee   aaaaa

message.send                  yyyyy   yyyyy       .....   .....    .....     ttttt   eeeee   aaaaa
cursor.move                   yyyyy   yyyyy       .....   .....    .....     ttttt   eeeee   aaaaa
typing.signal                 yyyyy   yyyyy       .....   .....    .....     ttttt   eeeee   aaaaa
presence.set                  yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     ttttt   eeeee   aaaaa
presence.watch                yyyyy   yyyyy       yyyhy   yyyhy    hhhhh     ttttt   eeeee   aaaaa
conversation.sync             yyyyy   yyyyy       hhhhh   hhhhh    hhhhh     ttttt   eeeee   aaaaa
ping                          yyyyy   yyyyy       yyyyy   yyyyy    yyyyy     ttttt   eeeee   aaaaa
`

export const verdicts = {
  y: 'done',
  h: 'hidden',
  n: 'access/denied',
  '.': 'access/not-found',
  u: 'conversations/unknown-user',
  s: 'identity/session-ended',
  e: 'identity/token-expired',
  a: 'identity/unauthenticated',
  t: 'identity/ticket-invalid',
} as const
export type Verdict = (typeof verdicts)[keyof typeof verdicts]

export interface OracleRow {
  /** E.g. `endSession another's`: the operation or command, and on what. */
  readonly row: string
  readonly operation: string
  expected(relation: Relation, role: Role): Verdict
}

export const oracle: readonly OracleRow[] = table
  .split('\n')
  .slice(2)
  .filter((line) => line.trim() !== '')
  .map(readRow)

function readRow(line: string): OracleRow {
  const row = line.slice(0, 30).trim()
  const columns = line.slice(30).trim().split(/\s+/)
  if (columns.length !== relations.length || columns.some((column) => !/^[yhn.useat]{5}$/.test(column)))
    throw new Error(`The table is broken at: ${line}`)
  return {
    row,
    operation: row.split(' ')[0]!,
    expected: (relation, role) =>
      verdicts[columns[relations.indexOf(relation)]![order.indexOf(role)] as keyof typeof verdicts],
  }
}
