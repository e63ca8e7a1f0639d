/** The documents that a server publishes, as validators of what it answers. */

import {
  listProblemsOf,
  listProblemsOfCommand,
  operations,
  renderOpenApi,
  socketCommands,
  type CommandOp,
  type OperationId,
  type ProblemCode,
} from '@sotto/protocol'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

/** What an operation or a command may answer, by the contract. */
export function allowedCodes(operation: string): ReadonlySet<string> {
  const codes: readonly ProblemCode[] =
    operation in operations
      ? listProblemsOf(operations[operation as OperationId])
      : listProblemsOfCommand(socketCommands[operation as CommandOp])
  return new Set(codes)
}

type Json = Readonly<Record<string, unknown>>

export interface Validators {
  /** @returns what is wrong with a reply of the operation; undefined when it is as documented */
  checkReply(operationId: string, status: number, body: unknown): string | undefined
  checkProblem(body: unknown): string | undefined
}

/** @param document  OpenAPI 3.1; a running server's, or the one that this checkout prints */
export function createValidators(document: Json = renderOpenApi({ version: '0' })): Validators {
  const ajv = new Ajv2020({ strict: true, allErrors: false, allowUnionTypes: true })
  const { schemas } = document['components'] as { readonly schemas: Json }
  ajv.addSchema(local({ $id: 'openapi', $defs: schemas }))
  const replies = new Map<string, ValidateFunction | undefined>()
  for (const [path, methods] of Object.entries(document['paths'] as Record<string, Record<string, Json>>)) {
    for (const [method, operation] of Object.entries(methods)) {
      const responses = operation['responses'] as Record<string, { readonly content?: Record<string, Json> }>
      for (const [status, response] of Object.entries(responses)) {
        const schema = response.content?.['application/json']?.['schema'] as Json | undefined
        const name = `${String(operation['operationId'])} ${status}`
        replies.set(name, schema && ajv.compile(local(schema)))
        if (schema === undefined && Number(status) < 300 && status !== '204')
          throw new Error(`${method} ${path}: no schema`)
      }
    }
  }
  const problem = ajv.compile(local({ $ref: '#/components/schemas/Problem' }))
  const say = (validate: ValidateFunction, body: unknown) =>
    validate(body) ? undefined : ajv.errorsText(validate.errors, { separator: '; ' })
  return {
    checkReply(operationId, status, body) {
      const name = `${operationId} ${status}`
      if (!replies.has(name)) return `${name} is not documented`
      const validate = replies.get(name)
      if (validate === undefined) return body === undefined ? undefined : `${name} has a body`
      return say(validate, body)
    },
    checkProblem: (body) => say(problem, body),
  }
}

/** References to components, as ajv finds them under the document's own id. */
function local(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', 'openapi#/$defs/')) as Json
}

export interface SocketValidators {
  checkReply(op: string, result: unknown): string | undefined
  checkFrame(frame: { readonly op: string }): string | undefined
}

/** @param document  AsyncAPI 3.0 */
export function createSocketValidators(document: Json): SocketValidators {
  const ajv = new Ajv2020({ strict: true, allErrors: false, allowUnionTypes: true })
  const { schemas } = document['components'] as { readonly schemas: Json }
  const { messages } = (
    document['channels'] as { readonly socket: { readonly messages: Record<string, { payload: Json }> } }
  ).socket
  ajv.addSchema(local({ $id: 'openapi', $defs: schemas }))
  const check = (name: string, value: unknown) => {
    const message = messages[name]
    if (message === undefined) return `${name} is not documented`
    const validate = ajv.getSchema(name) ?? ajv.addSchema(local(message.payload), name).getSchema(name)!
    return validate(value) === true ? undefined : ajv.errorsText((validate as ValidateFunction).errors)
  }
  return {
    checkReply: (op, result) => check(`reply.${op}`, { op: 'reply', id: 0, result }),
    checkFrame: (frame) => (frame.op === 'reply' ? undefined : check(`frame.${frame.op}`, frame)),
  }
}
