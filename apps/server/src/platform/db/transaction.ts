/**
 * One attempt at one transaction on one connection.
 *
 * Everything is pipelined: BEGIN, the context and the callback's first statements travel together, and COMMIT goes out
 * without waiting for the last of them. PostgreSQL works them off in order. After a failure it answers 25P02 to all that
 * follows; the first failure is the one that is told. And COMMIT of a failed transaction is no error to PostgreSQL, it
 * answers "ROLLBACK": here it is one.
 */

import assert from 'node:assert'
import type { Duplex } from 'node:stream'
import type pg from 'pg'
import { classify, DatabaseUnavailable, type StatementFailed } from './errors.ts'
import type { ContextProof } from './context-proof.ts'
import type { LaneTx, Statement, TxScope } from './tx.ts'
import { checkParameters } from './wire-types.ts'

const begin = { name: 'tx.begin', text: 'begin' }
const commit = { name: 'tx.commit', text: 'commit' }
const rollback = { name: 'tx.rollback', text: 'rollback' }

// What is answered is on disk, whatever the settings of the role, the database or the cluster say: `synchronous_commit` is
// `on` in each transaction, and stays what it is where it is stricter.
const enter = {
  name: 'tx.enter',
  text: `select set_config('search_path', 'sotto, pg_temp', true), set_config('sotto.tenant_id', $1, true),
    set_config('sotto.tenant_proof', $2, true), set_config('sotto.role_proof', $3, true),
    set_config('synchronous_commit',
      case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
    set_config('role', $4, true)`,
}
const enterTenant = {
  name: 'tx.enter-tenant',
  text: `select set_config('sotto.tenant_id', $1, true), set_config('sotto.tenant_proof', $2, true)`,
}

/** `app` without a tenant: sees nothing until `enterTenant`. */
export type Entry = TxScope | { readonly role: 'app'; readonly tenantId: undefined }

export async function attempt<T>(
  client: pg.ClientBase,
  prove: ContextProof,
  entry: Entry,
  fn: (tx: LaneTx) => Promise<T>,
): Promise<T> {
  const tx = openTx(client, prove)
  tx.handle.send(begin)
  tx.handle.send(enter, contextOf(entry, prove))
  let result: T
  try {
    result = await fn(tx.handle)
  } catch (error) {
    tx.close()
    await undo(client)
    throw tx.failure() ?? error
  }
  tx.close()
  await finish(client, tx)
  return result
}

function contextOf(entry: Entry, prove: ContextProof): string[] {
  if (entry.role !== 'app') return ['', '', prove(`role:${entry.role}`), `sotto_${entry.role}`]
  if (entry.tenantId === undefined) return ['', '', '', 'sotto_app']
  return [entry.tenantId, prove(entry.tenantId), '', 'sotto_app']
}

async function finish(client: pg.ClientBase, tx: OpenTx): Promise<void> {
  let answer: pg.QueryResult
  try {
    answer = await client.query(commit)
  } catch (error) {
    const failure = await outcomeOf(tx, classify(error, commit.name, true))
    if (failure instanceof DatabaseUnavailable && failure.outcome === 'unknown') broken.add(client)
    throw failure
  }
  const failure = await tx.settled()
  if (failure !== undefined) throw failure
  assert(answer.command === 'COMMIT', 'A transaction ended by itself before its COMMIT')
}

/**
 * COMMIT has been sent. Only a statement that the server itself refused says that it cannot have worked: one that lost its
 * answer, as COMMIT did, says nothing.
 */
async function outcomeOf(tx: OpenTx, ofCommit: DatabaseUnavailable | StatementFailed): Promise<Error> {
  const first = await tx.settled()
  if (first === undefined) return ofCommit
  const isLost = first instanceof DatabaseUnavailable && !first.isAnswered
  return isLost && ofCommit instanceof DatabaseUnavailable ? ofCommit : first
}

/** A failed rollback is a broken connection: the caller throws it away, and the server rolls back by itself. */
async function undo(client: pg.ClientBase): Promise<void> {
  try {
    await client.query(rollback)
  } catch {
    broken.add(client)
  }
}

const broken = new WeakSet<pg.ClientBase>()

/** May the next transaction use this connection? (The pool itself drops those that have closed.) */
export function isUsable(client: pg.ClientBase): boolean {
  return !broken.has(client)
}

interface OpenTx {
  readonly handle: LaneTx
  /** The first failure, as far as the answers have come in. */
  failure(): Error | undefined
  /** The first failure, after all answers. */
  settled(): Promise<Error | undefined>
  close(): void
}

function openTx(client: pg.ClientBase, prove: ContextProof): OpenTx {
  let isOpen = true
  let firstFailure: Error | undefined
  let last: Promise<unknown> = Promise.resolve()

  async function answerTo(statement: Statement<unknown>, values: unknown[]): Promise<pg.QueryResult> {
    if (firstFailure !== undefined) throw firstFailure
    leaveTogether(client)
    try {
      return await client.query({ name: statement.name, text: statement.text, values })
    } catch (error) {
      throw (firstFailure ??= error instanceof assert.AssertionError ? error : classify(error, statement.name))
    }
  }

  function issue<T>(
    statement: Statement<unknown>,
    values: readonly unknown[],
    pick: (answer: pg.QueryResult) => T,
  ): Promise<T> {
    assert(isOpen, `Statement ${statement.name} was issued after its transaction had ended`)
    const answer = answerTo(statement, checkParameters(values)).then(pick)
    // A statement that its issuer has not come to await when a neighbour fails is not an unhandled rejection.
    last = answer.catch(ignore)
    return answer
  }

  const send = (sent: Statement<unknown>, values: readonly unknown[] = []): void => void issue(sent, values, ignore)

  const handle: LaneTx = {
    send,
    rows: <Row>(statement: Statement<Row>, values: readonly unknown[] = []) =>
      issue(statement, values, (answer) => answer.rows as readonly Row[]),
    run: (statement, values = []) => issue(statement, values, (answer) => answer.rowCount ?? 0),
    enterTenant: (tenantId) => send(enterTenant, [tenantId, prove(tenantId)]),
  }
  return {
    handle,
    failure: () => firstFailure,
    settled: async () => {
      await last
      return firstFailure
    },
    close: () => {
      isOpen = false
    },
  }
}

/** Statements of one turn leave in one write; by itself the driver makes one of each, and wakes the server for each. */
function leaveTogether(client: pg.ClientBase): void {
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Duplex } }).connection
  if (stream.writableCorked > 0) return
  stream.cork()
  process.nextTick(() => stream.uncork())
}

function ignore(): void {}
