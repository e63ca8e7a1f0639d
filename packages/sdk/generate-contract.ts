import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeCodes, limitSpecs, operations, problemCatalogue, type LimitName, type Operation } from '@sotto/protocol'

/**
 * Prints the values of the contract that the SDK needs while it runs. The SDK takes the contract's types only, so that
 * no schema library reaches a page; these few tables are the rest, and a test fails when they are stale.
 */
const path = join(import.meta.dirname, 'src/contract.generated.ts')

/** The limits that the SDK obeys before it asks. The others stay in the reference. */
const limits: readonly LimitName[] = [
  'messageBytesMax',
  'pageSizeMax',
  'pageSizeDefault',
  'presenceWatchMax',
  'heartbeatMs',
  'typingMs',
  'accessTokenSeconds',
]

export function renderContract(): string {
  // Sorted, because loaders disagree about the order of a module's names.
  const all = (Object.values(operations) as Operation[]).toSorted((a, b) => (a.operationId < b.operationId ? -1 : 1))
  return [
    '// Generated from packages/protocol by packages/sdk/generate-contract.ts: do not edit.',
    '',
    '/** Method, path, whether the caller must be signed in, whether there is a body; by operation id. */',
    'export const operationTable = {',
    ...all.map(renderOperation),
    '} as const',
    '',
    '/** What a client does when the server closes its socket with this code. */',
    'export const closeTable = {',
    ...Object.entries(closeCodes).map(([code, spec]) => `  ${code}: '${spec.then}',`),
    '} as const',
    '',
    '/** What a client does next, by problem code: for answers that lost their own advice on the way. */',
    'export const problemTable = {',
    ...Object.entries(problemCatalogue).map(([code, spec]) => `  '${code}': '${spec.retry}',`),
    '} as const',
    '',
    '/** Limits as the contract has them; an operator may have changed some (`GET /v1/limits`). */',
    'export const limitTable = {',
    ...limits.map((name) => `  ${name}: ${limitSpecs[name].value},`),
    '} as const',
    '',
  ].join('\n')
}

/** A request is one flat object: a name in the path goes there, the rest is the query or the body. Never both. */
function renderOperation(operation: Operation): string {
  if (operation.query !== undefined && operation.body !== undefined) {
    throw new Error(`${operation.operationId}: the SDK cannot tell query from body`)
  }
  const signedIn = operation.auth === 'session'
  const body = operation.body !== undefined
  return `  ${operation.operationId}: ['${operation.method}', '${operation.path}', ${signedIn}, ${body}],`
}

export function isFresh(): boolean {
  return readFileSync(path, 'utf8') === renderContract()
}

if (import.meta.main) writeFileSync(path, renderContract())
