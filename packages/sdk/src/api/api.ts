import type { InputOf, Operation, OperationId, Operations, ReplyOf, RequestOf } from '@sotto/protocol'
import { operationTable } from '../contract.generated.ts'
import type { HttpClient, HttpOptions } from './http.ts'

/** In a URL everything is text; a caller writes numbers and lists, and the SDK turns them into text. */
type Value<Written, Parsed> = unknown extends Written
  ? Parsed
  : Written extends string | undefined
    ? Parsed extends readonly string[] | undefined
      ? readonly string[]
      : Parsed extends number | undefined
        ? Parsed
        : Written
    : Written
type Values<Written, Parsed> = {
  [K in keyof Written]: Value<Written[K], K extends keyof Parsed ? Parsed[K] : never>
}

/** What a caller writes: path parameters, query and body in one flat object; ids are plain strings. */
export type ApiRequest<O extends Operation> = Values<RequestOf<O>, InputOf<O>>

type ApiMethod<O extends Operation> =
  Record<never, never> extends ApiRequest<O>
    ? (request?: ApiRequest<O>, options?: HttpOptions) => Promise<ReplyOf<O>>
    : (request: ApiRequest<O>, options?: HttpOptions) => Promise<ReplyOf<O>>

/**
 * Every HTTP operation of the contract as a method of its operation id.
 *
 * @throws SottoProblem  from every method; nothing is retried here except one repeat with a fresh access token
 */
export type Api = { readonly [Id in OperationId]: ApiMethod<Operations[Id]> }

type Table = Readonly<Record<string, readonly [method: string, path: string, signedIn: boolean, hasBody: boolean]>>

export function createApi(http: HttpClient): Api {
  const table: Table = operationTable
  const methods = Object.entries(table).map(([id, [method, path, signedIn, hasBody]]) => [
    id,
    (request: Readonly<Record<string, unknown>> = {}, options: HttpOptions = {}) => {
      const rest: Record<string, unknown> = { ...request }
      const filled = path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => {
        const value = rest[name]
        delete rest[name]
        return encodeURIComponent(String(value))
      })
      return http.request({
        method,
        path: hasBody ? filled : `${filled}${renderQuery(rest)}`,
        body: hasBody ? rest : undefined,
        signedIn,
        options,
      })
    },
  ])
  return Object.fromEntries(methods) as Api
}

function renderQuery(values: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [`${name}=${encodeURIComponent(render(value))}`],
  )
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function render(value: unknown): string {
  return Array.isArray(value) ? value.join(',') : String(value)
}
