import type { z } from 'zod'
import type { AuditAction } from '../model/audit-event.ts'
import type { ProblemCode } from '../problems/catalogue.ts'

/** Public documents about the server itself: no tenant, no person, so nothing to record. The reason is part of the contract. */
export interface Unaudited {
  readonly unaudited: string
}

/**
 * One HTTP operation as a plain object. The server registers its route from it, the SDK takes its types, and the OpenAPI
 * document is printed from it. `operationId` is also the name of the server's function and file.
 */
export interface Operation {
  readonly operationId: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: `/v1/${string}`
  readonly summary: string
  readonly tag: 'identity' | 'conversations' | 'messages' | 'presence' | 'audit' | 'meta'
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  readonly reply: { readonly status: 200 | 201 | 204; readonly schema?: z.ZodType }
  readonly auth: 'none' | 'session'
  readonly audit: AuditAction | Unaudited
  /** Whether the act shows that a person is there: receiving, syncing and refreshing do not (idle limit). */
  readonly activity: boolean
  readonly problems: readonly ProblemCode[]
}

export function operation<const O extends Operation>(definition: O): O {
  return definition
}

type Parsed<S> = S extends z.ZodType ? z.output<S> : Record<never, never>
type Written<S> = S extends z.ZodType ? z.input<S> : Record<never, never>

/** What the server's function receives: path parameters, query and body, parsed, in one object. */
export type InputOf<O extends Operation> = Parsed<O['params']> & Parsed<O['query']> & Parsed<O['body']>
/** What a client writes: the same with defaults optional. */
export type RequestOf<O extends Operation> = Written<O['params']> & Written<O['query']> & Written<O['body']>
export type ReplyOf<O extends Operation> = O['reply'] extends { readonly schema: infer S extends z.ZodType }
  ? z.output<S>
  : void
