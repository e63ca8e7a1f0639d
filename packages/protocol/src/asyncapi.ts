import { z } from 'zod'
import { commandIdSchema, socketCommands, type Command } from './socket/commands.ts'
import type { ProblemCode } from './problems/catalogue.ts'
import { closeCodes, frameSchemas, SOCKET_PATH, SOCKET_PROTOCOL } from './socket/frames.ts'
import { renderSchema, type Rendering } from './openapi.ts'

type Json = Record<string, unknown>

/** Codes that any command may answer: the way in has them, whatever was asked. */
const commonProblems: readonly ProblemCode[] = [
  'platform/invalid-input',
  'platform/malformed',
  'platform/unavailable',
  'platform/internal',
  'identity/session-ended',
  'keys/unreadable',
  'keys/tampered',
]

/** Every code that a command may answer: its own, and those of the way in. */
export function listProblemsOfCommand(command: Command): readonly ProblemCode[] {
  return [...new Set([...command.problems, ...commonProblems])]
}

/** Prints the socket contract as an AsyncAPI 3.0 document: what a client sends, what the server sends, how it closes. */
export function renderAsyncApi({ version }: Rendering): Json {
  const schemas: Json = {}
  const messages: Record<string, Json> = {}
  const operations: Record<string, Json> = {}
  const channel = { $ref: '#/channels/socket' }
  for (const command of Object.values(socketCommands) as Command[]) {
    const name = `command.${command.op}`
    messages[name] = { name, summary: command.summary, payload: renderCommand(command, schemas) }
    messages[`reply.${command.op}`] = {
      name: `reply.${command.op}`,
      summary: `What answers ${command.op}`,
      payload: renderReply(command, schemas),
    }
    operations[identifier(command.op)] = {
      action: 'receive',
      channel,
      summary: command.summary,
      messages: [messageRef(name)],
      reply: { channel, messages: [messageRef(`reply.${command.op}`), messageRef('frame.error')] },
      'x-audit-action': typeof command.audit === 'string' ? command.audit : null,
      'x-problems': listProblemsOfCommand(command),
    }
  }
  for (const [op, schema] of Object.entries(frameSchemas)) {
    if (op === 'reply') continue
    messages[`frame.${op}`] = { name: `frame.${op}`, payload: renderSchema(schema, 'output', schemas) }
    operations[`send${capitalised(op)}`] = { action: 'send', channel, messages: [messageRef(`frame.${op}`)] }
  }
  return {
    asyncapi: '3.0.0',
    info: { title: 'Sotto socket', version, description: describeCloseCodes(), license: { name: 'Apache-2.0' } },
    channels: {
      socket: {
        address: SOCKET_PATH,
        description: `Subprotocol ${SOCKET_PROTOCOL}; a second offered subprotocol carries the single-use ticket.`,
        messages,
      },
    },
    operations,
    components: { schemas },
  }
}

function renderCommand(command: Command, schemas: Json): Json {
  const envelope = renderSchema(z.object({ op: z.literal(command.op), id: commandIdSchema }), 'input', schemas)
  return { allOf: [envelope, withoutClosure(renderSchema(command.body, 'input', schemas))] }
}

function renderReply(command: Command, schemas: Json): Json {
  return renderSchema(
    z.object({ op: z.literal('reply'), id: commandIdSchema, result: command.reply }),
    'output',
    schemas,
  )
}

/** Within `allOf`, a closed object would refuse the envelope's own fields. */
function withoutClosure({ additionalProperties: _closed, ...schema }: Json): Json {
  return schema
}

function messageRef(name: string): Json {
  return { $ref: `#/channels/socket/messages/${name}` }
}

function identifier(op: string): string {
  return op.replaceAll(/\.(.)/g, (_, letter: string) => letter.toUpperCase())
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}

function describeCloseCodes(): string {
  return [
    'Close codes:',
    ...Object.entries(closeCodes).map(([code, spec]) => `- ${code}: ${spec.meaning}; the client does: ${spec.then}`),
  ].join('\n')
}
