// docs/reference from the contract: the documents for programs, and the same for people: operations, problems, limits.
import {
  closeCodes,
  frameSchemas,
  limitSpecs,
  operations,
  problemCatalogue,
  renderAsyncApi,
  renderOpenApi,
  socketCommands,
  type Command,
  type LimitName,
  type Operation,
  type ProblemSpec,
  type Unaudited,
} from '../../packages/protocol/src/index.ts'
import { limitSetting, tunableLimits } from '../../apps/server/src/main/limit-settings.ts'
import { VERSION } from '../../apps/server/src/main/version.ts'
import { code, linkToProblem, table, writeJson, writePage } from '../reference-pages.ts'

writeJson('docs/reference/openapi.json', renderOpenApi({ version: VERSION }))
writeJson('docs/reference/asyncapi.json', renderAsyncApi({ version: VERSION }))
writePage('docs/reference/operations.md', renderOperations())
writePage('docs/reference/problems.md', renderProblems())
writePage('docs/reference/limits.md', renderLimits())

function renderOperations(): string {
  const byTag = Map.groupBy(Object.values(operations) as Operation[], ({ tag }) => tag)
  const sections = [...byTag].map(
    ([tag, list]) => `## ${capitalised(tag)}\n\n${list.map(renderOperation).join('\n\n')}`,
  )
  const commands = (Object.values(socketCommands) as Command[]).map(renderCommand)
  const frames = Object.entries(frameSchemas).map(([op, schema]) => [code(op), schema.description ?? ''])
  const closings = Object.entries(closeCodes).map(([number, { meaning, then }]) => [number, meaning, then])
  return `# Operations

Generated from \`packages/protocol\`. For programs: [openapi.json](openapi.json) and [asyncapi.json](asyncapi.json); a running
server answers both, and this page, at \`/v1/openapi.json\`, \`/v1/asyncapi.json\` and \`/reference\`. What every operation may answer besides
what is listed: ${['platform/invalid-input', 'platform/rate-limited', 'platform/unavailable', 'platform/internal', 'keys/tampered'].map(linkToProblem).join(', ')}, and signed in
${['identity/unauthenticated', 'identity/token-expired', 'identity/session-ended'].map(linkToProblem).join(', ')}.

"Counts as activity" says whether the act keeps a session from its idle limit.

${sections.join('\n\n')}

## Socket

\`GET /v1/socket\` with the subprotocols \`sotto.v1\` and \`sotto.ticket.<ticket>\`; the ticket comes from \`POST /v1/socket-tickets\` and works once.
A client sends commands, each with an \`id\` of its choice; each is answered by one \`reply\` or one \`error\` with the same \`id\`.

${commands.join('\n\n')}

### Frames from the server

${table(['op', 'notes'], frames)}

### Close codes

${table(['code', 'meaning', 'the client does'], closings)}
`
}

function renderOperation(operation: Operation): string {
  const who = operation.auth === 'none' ? 'no' : 'yes'
  return `### ${operation.operationId}

\`${operation.method} ${operation.path}\` → ${operation.reply.status}: ${operation.summary}.

${renderFacts([`Signed in: ${who}`, renderAudit(operation.audit), renderActivity(operation.activity)], operation.problems)}`
}

function renderCommand(command: Command): string {
  return `### ${command.op}\n\n${command.summary}.\n\n${renderFacts([renderAudit(command.audit), renderActivity(command.activity)], command.problems)}`
}

function renderFacts(facts: readonly string[], problems: readonly string[]): string {
  const answers = problems.length === 0 ? [] : [`May answer: ${problems.map(linkToProblem).join(', ')}`]
  return [...facts, ...answers].map((fact) => `- ${fact}`).join('\n')
}

function renderAudit(audit: string | Unaudited): string {
  if (typeof audit !== 'string') return `Not recorded: ${audit.unaudited}`
  return `Recorded as [\`${audit}\`](audit-actions.md#${audit.replace('.', '')})`
}

function renderActivity(counts: boolean): string {
  return `Counts as activity: ${counts ? 'yes' : 'no'}`
}

function renderProblems(): string {
  const entries = Object.entries(problemCatalogue) as [string, ProblemSpec][]
  const sections = entries.map(
    ([name, { status, title, retry, advice }]) =>
      `<a id="${name.replace('/', '-')}"></a>\n\n### ${name}\n\n${title}.\n\n- Status: ${status}\n- Retry: \`${retry}\`\n- ${advice}`,
  )
  return `# Problems

Generated from \`packages/protocol\`. Everything that is refused or fails is answered as \`application/problem+json\` (RFC 9457) with one of
these codes; on the socket the same document stands in an \`error\` frame. A code is never renamed and never reused. \`type\` of a problem
leads to the same text on the server that answered.

What \`retry\` says:

${table(
  ['retry', 'the client'],
  [
    [code('never'), 'shows it: repeating the same changes nothing'],
    [code('after-delay'), 'waits `retryAfterMs`, then repeats the same with the same ids'],
    [code('after-sync'), 'syncs, then repeats'],
    [code('after-reauth'), 'gets a new access token, or has the user sign in, then repeats'],
  ],
)}

The SDK adds codes of its own, which begin with \`sdk/\`: no answer came, the device could not store, the session was closed here.

${sections.join('\n\n')}
`
}

function renderLimits(): string {
  const tunable: readonly string[] = tunableLimits
  const rows = Object.entries(limitSpecs).map(([name, { value, unit, meaning }]) => [
    code(name),
    String(value),
    unit,
    meaning,
    tunable.includes(name) ? code(limitSetting(name as LimitName)) : 'part of the contract',
  ])
  return `# Limits

Generated from \`packages/protocol\`. \`GET /v1/limits\` answers them as they are on that server.

${table(['name', 'default', 'unit', 'meaning', 'changed by'], rows)}
`
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
