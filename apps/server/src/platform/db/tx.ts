/** What a store sees of the database: one transaction, named statements, rows. */

declare const rowBrand: unique symbol

/** A hand-written statement. It is named, so that the server plans it once per connection. */
export interface Statement<Row> {
  readonly name: string
  readonly text: string
  readonly [rowBrand]?: Row
}

export function statement<Row>(name: string, text: string): Statement<Row> {
  return { name, text }
}

/**
 * One open transaction. Statements issued without awaiting in between travel in one round trip (pipeline mode) and run
 * in the order they were issued. A handle that outlives its callback refuses to work.
 */
export interface Tx {
  /** @returns the rows, columns named as in SQL */
  rows<Row>(statement: Statement<Row>, values?: readonly unknown[]): Promise<readonly Row[]>
  /** @returns how many rows the statement touched */
  run(statement: Statement<unknown>, values?: readonly unknown[]): Promise<number>
  /**
   * Issues a write whose answer nobody needs. It travels with what is issued next, COMMIT included, which saves a round
   * trip; its failure fails the statements after it, and in any case the transaction.
   */
  send(statement: Statement<unknown>, values?: readonly unknown[]): void
}

/** The database roles of `db/migrations`: `app` sees one tenant; each other sees exactly the tables of its job. */
export type TxScope =
  | { readonly role: 'app'; readonly tenantId: string }
  | { readonly role: 'relay' | 'sequencer' | 'lookup' | 'jobs' }

export interface Db {
  /**
   * Runs `fn` in one transaction and commits; whatever `fn` throws rolls back and is thrown on.
   * Durability: resolves after the commit. Retries: the whole callback on serialization failure or deadlock (bounded),
   * so `fn` must have no effect outside `tx`. No network inside.
   * @throws Problem `platform/unavailable` when the database cannot be reached or the outcome is unknown
   */
  withTx<T>(scope: TxScope, fn: (tx: Tx) => Promise<T>): Promise<T>
  /** A runner with a connection of its own (embedded: shared), for one lane of group commit. */
  lane(index: number): Lane
  /** How many lanes the database carries in parallel: 1 embedded. */
  readonly lanes: number
}

/** A transaction of group commit: several tenants, one after the other, in one transaction. */
export interface LaneTx extends Tx {
  /** From here on row-level security shows this tenant only. */
  enterTenant(tenantId: string): void
}

export interface Lane {
  withTx<T>(fn: (tx: LaneTx) => Promise<T>): Promise<T>
}
