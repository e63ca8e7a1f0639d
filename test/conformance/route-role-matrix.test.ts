/** @feature A1 C1 @control 45 CFR 164.312(a)(1), 164.312(b); OWASP API1, API5 */
import {
  operations,
  socketCommands,
  type AuditEvent,
  type CommandOp,
  type Operation,
  type OperationId,
  type Role,
  type TenantId,
} from '@sotto/protocol'
import { CommandRefused, connectTestSocket, databaseKinds, openTestSocket, type TestSocket } from '@sotto/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SYSTEM_TENANT_ID } from '../../apps/server/src/platform/context/context.ts'
import { ask, askOperation, codeOf, withoutInstance, type Answer } from './kit/ask.ts'
import { origin, roles, type Hand } from './kit/clinic.ts'
import { allowedCodes } from './kit/documents.ts'
import { matrixCases, type Input, type MatrixCase } from './kit/matrix-cases.ts'
import { openScene, type Scene } from './kit/matrix-scene.ts'
import { oracle, relations, type OracleRow, type Relation, type Verdict } from './kit/oracle.ts'

/** What came back, in the same form for both protocols. */
interface Outcome {
  /** Of a problem. */
  readonly code: string | undefined
  readonly body: unknown
  /** Everything by which two answers could be told apart. */
  readonly seen: string
}

type Door = TestSocket | Outcome
const isShut = (door: Door): door is Outcome => 'seen' in door

test('the table names every operation and every command, and nothing else', () => {
  const named = [...new Set(oracle.map((row) => row.operation))].toSorted()
  expect(named).toEqual([...Object.keys(operations), ...Object.keys(socketCommands)].toSorted())
  expect(Object.keys(matrixCases).toSorted()).toEqual(oracle.map(({ row }) => row).toSorted())
})

describe.each(databaseKinds)('on %s', (kind) => {
  let scene: Scene
  const refusals: { readonly tenantId: TenantId; readonly action: string }[] = []
  let cells = 0
  let twins = 0

  beforeAll(async () => {
    scene = await openScene(kind)
  })
  afterAll(() => scene?.[Symbol.asyncDispose]())

  test.for(relations)('who is %s gets what the table says, and what is hidden looks like nothing', async (relation) => {
    const wrong = await Promise.all(roles.map((role) => tryRole(relation, role)))
    expect(wrong.flat()).toEqual([])
  })

  test('each refusal stands in the audit trail with its true reason', async ({ task }) => {
    await scene.server.composition.audit.flushRefusals(true)
    for (const tenantId of new Set(refusals.map((refused) => refused.tenantId))) {
      const mine = refusals.filter((refused) => refused.tenantId === tenantId)
      await expectRecorded(tenantId, mine)
    }
    const events = await readRefusals(scene.clinic.ada.ctx.tenantId)
    const reasons = events.map(({ code, resource }) => `${code} ${resource?.type}`)
    expect(reasons).toContain('not-a-member conversation')
    expect(reasons).toContain('no-such-conversation conversation')
    expect(reasons).toContain('access/denied conversation')
    task.meta.counts = { 'routes and commands × roles × relations': cells, 'twins of what is hidden': twins }
  })

  async function expectRecorded(tenantId: TenantId, mine: readonly { readonly action: string }[]): Promise<void> {
    const events = await readRefusals(tenantId)
    const counted = tally(events.map(({ action, count }) => [action, count]))
    expect(counted).toEqual(tally(mine.map(({ action }) => [action, 1])))
    const reasons = [...new Set(events.map(({ code }) => code))]
    expect(reasons).not.toContain(null)
    if (tenantId === SYSTEM_TENANT_ID)
      return expect(new Set(reasons)).toEqual(new Set(['identity/token-expired', 'no-token']))
    const byNobody = events.filter(({ actor }) => actor.userId === null)
    expect(byNobody.filter(({ action }) => action !== 'socket.open')).toEqual([])
  }

  async function tryRole(relation: Relation, role: Role): Promise<readonly string[]> {
    const caller = scene.relations[relation][role]
    const door = await openDoor(relation, caller)
    const wrong: string[] = []
    for (const row of oracle) {
      cells++
      for (const what of await tryCell(row, relation, caller, row.expected(relation, role), door))
        wrong.push(`${relation} ${role}: ${row.row}: ${what}`)
    }
    if (!isShut(door)) door.close()
    return wrong
  }

  async function tryCell(row: OracleRow, relation: Relation, caller: Hand, verdict: Verdict, door: Door) {
    const one: MatrixCase = matrixCases[row.row]!
    const attempt = await one.attempt(scene, caller, verdict === 'done' || verdict === 'hidden')
    const outcome = await put(row, relation, caller, attempt.input, door)
    await attempt.restore?.()
    const wrong = outcome === door ? judgeDoor(verdict, outcome) : judge(row, one, verdict, outcome)
    if (verdict !== 'access/not-found' || attempt.nowhere === undefined) return wrong
    const twin = await put(row, relation, caller, attempt.nowhere, door)
    twins++
    return twin.seen === outcome.seen ? wrong : [...wrong, `${outcome.seen} is told apart from ${twin.seen}`]
  }

  function judge(row: OracleRow, one: MatrixCase, verdict: Verdict, { code, body }: Outcome): readonly string[] {
    if (code !== undefined && !allowedCodes(row.operation).has(code))
      return [`${code} is no answer of it by the contract`]
    if (verdict !== 'done' && verdict !== 'hidden') return code === verdict ? [] : [`${code ?? 'done'}, not ${verdict}`]
    if (code !== undefined) return [`${code}, not ${verdict}`]
    const shows = one.shows?.(body as never, scene) ?? true
    if (one.shows === undefined || shows === (verdict === 'done')) return []
    return [shows ? 'shows what is hidden' : 'does not show it']
  }

  /** A socket, or how it was refused. */
  async function openDoor(relation: Relation, caller: Hand): Promise<Door> {
    if (relation === 'revoked') {
      note(relation, caller, 'socket.open', 2)
      return refuseUpgrade(scene.revokedTickets[caller.role]!)
    }
    if (relation !== 'expired' && relation !== 'nobody') return openTestSocket(scene.server.url, caller.accessToken)
    note(relation, caller, 'socket-ticket.create')
    return fromHttp(await askOperation(scene.server.url, 'createSocketTicket', {}, tokenOf(relation, caller)))
  }

  async function refuseUpgrade(ticket: string): Promise<Outcome> {
    await expect(connectTestSocket(scene.server.url, ticket)).rejects.toThrow('401')
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      'sec-websocket-protocol': `sotto.v1, sotto.ticket.${ticket}`,
    }
    return fromHttp(await ask(scene.server.url, { method: 'GET', path: '/v1/socket', headers }))
  }

  async function put(row: OracleRow, relation: Relation, caller: Hand, input: Input, door: Door): Promise<Outcome> {
    const isCommand = row.operation in socketCommands
    if (isCommand && isShut(door)) return door
    const outcome =
      isCommand && !isShut(door)
        ? await command(door, row.operation as CommandOp, input)
        : await operate(row.operation as OperationId, input, tokenOf(relation, caller))
    const contract = operations[row.operation as OperationId] ?? socketCommands[row.operation as CommandOp]
    if (outcome.code !== undefined) note(relation, caller, (contract as { readonly audit: string }).audit)
    return outcome
  }

  async function operate(operationId: OperationId, input: Input, token: string | undefined): Promise<Outcome> {
    const answer = await askOperation(scene.server.url, operationId, input, token)
    const operation: Operation = operations[operationId]
    if (codeOf(answer) === undefined) expect(answer.status, operationId).toBe(operation.reply.status)
    return fromHttp(answer)
  }

  /** Whom nobody recognised is in the trail of the deployment. */
  function note(relation: Relation, { ctx }: Hand, action: string, times = 1): void {
    const tenantId = relation === 'expired' || relation === 'nobody' ? SYSTEM_TENANT_ID : ctx.tenantId
    for (let time = 0; time < times; time++) refusals.push({ tenantId, action })
  }

  async function readRefusals(tenantId: TenantId): Promise<readonly AuditEvent[]> {
    const query = { tenantId, action: undefined, outcome: 'refused' as const, limit: 100_000 }
    return scene.server.composition.listAuditEventsAsOperator(origin, query)
  }
})

/** Where no socket opens, all commands are refused alike. */
function judgeDoor(verdict: Verdict, { code }: Outcome): readonly string[] {
  return code === verdict ? [] : [`the socket: ${code}, not ${verdict}`]
}

function tokenOf(relation: Relation, caller: Hand): string | undefined {
  return relation === 'nobody' ? undefined : caller.accessToken
}

function tally(pairs: readonly (readonly [string, number])[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [key, count] of pairs) counts[key] = (counts[key] ?? 0) + count
  return counts
}

function fromHttp(answer: Answer): Outcome {
  const code = codeOf(answer)
  const { date: _date, ...headers } = answer.headers
  const seen = code === undefined ? '' : JSON.stringify([answer.status, headers, withoutInstance(answer.body)])
  return { code, body: answer.body, seen }
}

async function command(socket: TestSocket, op: CommandOp, input: Input): Promise<Outcome> {
  try {
    return { code: undefined, body: await socket.command(op, input as never), seen: '' }
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error
    return { code: error.problem.code, body: undefined, seen: JSON.stringify(withoutInstance(error.problem)) }
  }
}
