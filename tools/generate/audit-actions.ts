// docs/reference/audit-actions.md: what the trail keeps of each act. Read from the code that records it, so that the page
// cannot promise a field that is not written; an action that nothing records fails here.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync, visitorKeys } from 'oxc-parser'
import {
  auditActionSchema,
  operations,
  socketCommands,
  type AuditAction,
  type Command,
  type Operation,
} from '../../packages/protocol/src/index.ts'
import { code, codes, writePage } from '../reference-pages.ts'
import { root } from '../suites.ts'

const ROOMS = 'apps/server/src/domains'

/** Stands for fields whose names the act decides. */
const OTHERS = '…'

/** Where the action stands in a variable: the file whose record it is. */
const RECORDED_IN: Partial<Record<AuditAction, string>> = {
  'message.send': `${ROOMS}/conversations/append-batch.ts`,
  'conversation.list': `${ROOMS}/conversations/list-conversations.ts`,
  'conversation.sync': `${ROOMS}/conversations/list-conversations.ts`,
  'presence.list': `${ROOMS}/presence/list-presence.ts`,
  'presence.watch': `${ROOMS}/presence/list-presence.ts`,
  'deployment.start': 'apps/server/src/main/deployment.ts',
  'deployment.stop': 'apps/server/src/main/deployment.ts',
}

/** Acts without a record of their own, and where they are kept instead. */
const KEPT_ELSEWHERE: Partial<Record<AuditAction, string>> = {
  'typing.signal':
    'Counted by conversation in the `socket.close` record of its socket (`typing`). A refused one has a record of its own.',
  'request.refuse': 'What was refused before its operation was known, and refusals of what is otherwise not recorded.',
}

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

/** One object literal that says `action` of an act. */
interface Found {
  readonly file: string
  readonly action: string | undefined
  readonly resource: string | undefined
  readonly hasSubject: boolean
  readonly details: readonly string[]
}

const found = globSync(`apps/server/src/{domains,main,edges}/**/*.ts`, { cwd: root })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !/\.(test|testing)\.ts$/.test(file))
  .toSorted()
  .flatMap((file) => recordsIn(file))

const sections = auditActionSchema.options.map((action) => `### ${action}\n\n${renderAction(action)}`)
writePage(
  'docs/reference/audit-actions.md',
  `# Audit actions

Generated from the contract and from the code that records. Every act, refusal and read has a record in the transaction of the act: if the
record cannot be written, the act does not happen and nothing is returned. 45 CFR 164.312(b).

Every record says: the instant, the action, the outcome (\`success\`, \`refused\`, \`failed\`), the true reason of a refusal (also where the caller
was told 404), who (user, role, device, session, network address), on what, about which patient, the purpose of use, the request, and how
many equal refusals it stands for. What is listed below as *also* stands in \`details\`;
\`…\` stands for fields that the act itself names: what was changed, or asked for. No message, title or name is ever in a record.

Compliance officers read them with [listAuditEvents](operations.md#listauditevents), operators with \`sotto audit list\`. Both looks are recorded.

${sections.join('\n\n')}
`,
)

function renderAction(action: AuditAction): string {
  const records = found.filter((one) => one.action === action || isRecordOf(one, action))
  const elsewhere = KEPT_ELSEWHERE[action]
  if (records.length === 0 && elsewhere === undefined) throw new Error(`Nothing records ${action}`)
  const resources = [...new Set(records.flatMap(({ resource }) => resource ?? []))]
  const details = [...new Set(records.flatMap((one) => one.details))].toSorted()
  const lines = [
    ...listActs(action),
    ...(elsewhere === undefined ? [] : [elsewhere]),
    ...(records.length === 0
      ? []
      : [`On: ${codes(resources)}`, `About a patient: ${aboutPatient(records)}`, `Also: ${codes(details)}`]),
  ]
  return lines.map((line) => `- ${line}`).join('\n')
}

function isRecordOf({ file, action, details, resource }: Found, wanted: AuditAction): boolean {
  return RECORDED_IN[wanted] === file && action === undefined && (details.length > 0 || resource !== undefined)
}

function aboutPatient(records: readonly Found[]): string {
  return records.some(({ hasSubject }) => hasSubject) ? 'when the act concerns one' : 'no'
}

function listActs(action: AuditAction): readonly string[] {
  const routes = (Object.values(operations) as Operation[]).filter(({ audit }) => audit === action)
  const commands = (Object.values(socketCommands) as Command[]).filter(({ audit }) => audit === action)
  const acts = [
    ...routes.map(({ operationId }) => `[${operationId}](operations.md#${operationId.toLowerCase()})`),
    ...commands.map(({ op }) => `socket command [${code(op)}](operations.md#${op.replace('.', '')})`),
  ]
  return acts.length === 0 ? ['By no route: the server or its operator'] : [`By: ${acts.join(', ')}`]
}

function recordsIn(file: string): readonly Found[] {
  const { program } = parseSync(file, readFileSync(join(root, file), 'utf8'))
  const list: Found[] = []
  const named = new Map<string, Node>()
  const visit = (node: Node): void => {
    if (node.type === 'ObjectExpression') list.push(...readRecord(file, node, named))
    const name = node.type === 'VariableDeclarator' ? (node['id'] as { readonly name?: string }).name : undefined
    if (name !== undefined && node['init'] !== null) named.set(name, node['init'] as Node)
    for (const key of visitorKeys[node.type] ?? []) {
      for (const child of [node[key]].flat()) if (child !== null && child !== undefined) visit(child as Node)
    }
  }
  visit(program as unknown as Node)
  return list
}

/** @param named  what the constants before it stand for: `{ action: 'tenant.create', resource }` */
function readRecord(file: string, node: Node, named: ReadonlyMap<string, Node>): readonly Found[] {
  const resolve = (value: Node): Node =>
    value.type === 'Identifier' ? (named.get(value['name'] as string) ?? value) : value
  const fields = new Map([...fieldsOf(node)].map(([name, value]) => [name, resolve(value)]))
  if (!fields.has('action') && !fields.has('details')) return []
  const action = fields.get('action')
  const details = fields.get('details')
  const resource = fields.get('resource')
  const type = resource === undefined ? undefined : literal(fieldsOf(resource).get('type'))
  return [
    {
      file,
      action: literal(action),
      resource: type,
      hasSubject: fields.has('subjectUserId'),
      details: details === undefined ? [] : namesIn(details),
    },
  ]
}

/** Names of an object's fields, those of the objects that are spread into it included. */
function namesIn(node: Node): readonly string[] {
  if (node.type === 'ObjectExpression') {
    const spread = (node['properties'] as readonly Node[]).filter(({ type }) => type === 'SpreadElement')
    return [...fieldsOf(node).keys(), ...spread.flatMap((each) => namesIn(each['argument'] as Node))]
  }
  if (node.type === 'ConditionalExpression')
    return [...namesIn(node['consequent'] as Node), ...namesIn(node['alternate'] as Node)]
  if (node.type === 'ParenthesizedExpression') return namesIn(node['expression'] as Node)
  return [OTHERS]
}

function fieldsOf(node: Node): ReadonlyMap<string, Node> {
  const properties = (node['properties'] ?? []) as readonly Node[]
  return new Map(
    properties.flatMap((property): [string, Node][] => {
      const name = (property['key'] as { readonly name?: string } | undefined)?.name
      return name === undefined ? [] : [[name, property['value'] as Node]]
    }),
  )
}

/** A string, also one with `as const` behind it. */
function literal(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined
  if (node.type === 'TSAsExpression') return literal(node['expression'] as Node)
  return node.type === 'Literal' && typeof node['value'] === 'string' ? node['value'] : undefined
}
