/** A bare client of the API: it sends what it is told, as it is told, and keeps the whole answer. */

import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { operations, type Operation, type OperationId, type ProblemDocument } from '@sotto/protocol'

export interface Question {
  readonly method: string
  /** As it goes over the wire, query and all. */
  readonly path: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON; text and bytes are sent as they are, as application/json unless the headers say else. */
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** undefined when it is no JSON */
  readonly body: unknown
}

const agent = new Agent({ keepAlive: true, maxSockets: 32 })

export function ask(url: string, question: Question): Promise<Answer> {
  const bytes = bytesOf(question.body)
  const headers = {
    ...(question.token === undefined ? {} : { authorization: `Bearer ${question.token}` }),
    ...(bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(bytes.length) }),
    ...question.headers,
  }
  const { hostname, port } = new URL(url)
  const { method, path } = question
  return new Promise((resolve, reject) => {
    const call = request({ hostname, port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parsed(text) })
      })
    })
    call.on('error', reject)
    call.end(bytes)
  })
}

/** One operation of the contract: what the path names goes there, the rest is the query or the body. */
export function askOperation(
  url: string,
  operationId: OperationId,
  input: Readonly<Record<string, unknown>>,
  token: string | undefined,
): Promise<Answer> {
  return ask(url, { ...questionOf(operationId, input), token })
}

export function questionOf(operationId: OperationId, input: Readonly<Record<string, unknown>>): Question {
  const operation: Operation = operations[operationId]
  const rest = { ...input }
  const path = operation.path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => {
    const value = String(rest[name])
    delete rest[name]
    return encodeURIComponent(value)
  })
  const { method } = operation
  if (operation.body !== undefined) return { method, path, body: rest }
  const query = new URLSearchParams(rest as Record<string, string>).toString()
  return { method, path: query === '' ? path : `${path}?${query}` }
}

/** The code of a problem, or undefined for any other answer. */
export function codeOf({ headers, body }: Answer): string | undefined {
  if (!headers['content-type']?.startsWith('application/problem+json')) return undefined
  return (body as ProblemDocument).code
}

/** A problem without what differs from one request to the next. */
export function withoutInstance(body: unknown): unknown {
  const { instance: _instance, ...rest } = body as ProblemDocument
  return rest
}

/** Sends bytes that no client would, and resolves with everything that came back until the server closed, or `ms` passed. */
export function speakRaw(url: string, bytes: string | Buffer, ms = 5_000): Promise<{ text: string; closed: boolean }> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    const timer = setTimeout(() => {
      resolve({ text, closed: false })
      socket.destroy()
    }, ms)
    socket.on('data', (chunk) => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve({ text, closed: true })
    })
  })
}

function bytesOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
