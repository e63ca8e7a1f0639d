import { dirname, posix } from 'node:path'
import { parseSync, visitorKeys } from 'oxc-parser'

/** One source file, read once; the rules ask this and never the text with a pattern of their own. */
export interface Source {
  /** From the root, with slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
  readonly exports: readonly Export[]
  readonly functions: readonly FunctionLength[]
  readonly marks: readonly Mark[]
  /** String literals and template texts, with `${}` where a value stands. */
  readonly strings: readonly Text[]
}

export interface Import {
  readonly specifier: string
  /** A relative import's file, from the root. */
  readonly target: string | undefined
  /** Erased when the file runs. */
  readonly typeOnly: boolean
  readonly line: number
}

export interface Export {
  readonly name: string
  readonly kind: 'function' | 'class' | 'value' | 'type' | 'again'
  /** Of a function. */
  readonly parameters: readonly string[]
  readonly async: boolean
  readonly line: number
}

export interface FunctionLength {
  readonly name: string
  readonly line: number
  /** Without the functions inside it: those are counted by themselves. */
  readonly lines: number
}

export interface Text {
  readonly text: string
  readonly line: number
}

/** A construct that some rule forbids somewhere. */
export interface Mark {
  readonly kind: 'any' | 'enum' | 'default-export' | 'console' | 'ambient-date' | 'statement' | 'focus'
  readonly line: number
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export function parseSource(path: string, text: string): Source {
  const parsed = parseSync(path, text)
  const lineAt = lineIndex(text)
  const body = (parsed.program as unknown as { body: readonly Node[] }).body
  const source = {
    imports: [] as Import[],
    functions: [] as FunctionLength[],
    marks: [] as Mark[],
    strings: [] as Text[],
  }
  const walker: Walker = { ...source, lineAt, path, text, isTest: isTestFile(path) }
  for (const node of body) walk(walker, node, undefined)
  return { path, text, ...source, exports: body.flatMap((node) => readExports(node, lineAt)) }
}

export function isTestFile(path: string): boolean {
  return /\.(test|testing|fixture)\.tsx?$/.test(path) || path.startsWith('test/') || path.startsWith('bench/')
}

interface Walker {
  readonly imports: Import[]
  readonly functions: FunctionLength[]
  readonly marks: Mark[]
  readonly strings: Text[]
  readonly lineAt: (offset: number) => number
  readonly path: string
  readonly text: string
  readonly isTest: boolean
}

/** @returns how many lines the functions inside `node` take */
function walk(walker: Walker, node: Node, name: string | undefined): number {
  look(walker, node)
  const inner = children(node).reduce((lines, child) => lines + walk(walker, child, nameOf(node) ?? name), 0)
  if (!FUNCTIONS.has(node.type)) return inner
  const lines = walker.lineAt(node.end) - walker.lineAt(node.start) + 1
  const own = nameOf(node) ?? name ?? 'a function'
  walker.functions.push({ name: own, line: walker.lineAt(node.start), lines: lines - inner })
  return lines === 1 ? 0 : lines
}

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

function children(node: Node): readonly Node[] {
  const keys = visitorKeys[node.type] ?? []
  return keys
    .flatMap((key) => node[key] as Node | Node[] | null)
    .filter((child) => child !== null && child !== undefined)
}

function nameOf(node: Node): string | undefined {
  const named = (node['id'] ?? node['key']) as { readonly name?: unknown } | null | undefined
  return typeof named?.name === 'string' ? named.name : undefined
}

function look(walker: Walker, node: Node): void {
  const line = walker.lineAt(node.start)
  const mark = markOf(walker, node)
  if (mark !== undefined) walker.marks.push({ kind: mark, line })
  lookAtImport(walker, node, line)
  if (node.type === 'Literal' && typeof node['value'] === 'string') walker.strings.push({ text: node['value'], line })
  if (node.type === 'TemplateLiteral') {
    const parts = node['quasis'] as readonly { readonly value: { readonly cooked: string | null } }[]
    walker.strings.push({ text: parts.map((part) => part.value.cooked ?? '').join('${}'), line })
  }
}

function markOf(walker: Walker, node: Node): Mark['kind'] | undefined {
  if (node.type === 'TSAnyKeyword') return 'any'
  if (node.type === 'TSEnumDeclaration') return 'enum'
  if (node.type === 'ExportDefaultDeclaration') return 'default-export'
  if (node.type === 'NewExpression' && isNamed(node['callee'], 'Date') && (node['arguments'] as []).length === 0) {
    return 'ambient-date'
  }
  if (node.type === 'CallExpression' && isNamed(node['callee'], 'statement')) return 'statement'
  if (node.type !== 'MemberExpression') return undefined
  if (isNamed(node['object'], 'console')) return 'console'
  return walker.isTest && isFocus(node) ? 'focus' : undefined
}

function isFocus(node: Node): boolean {
  const property = (node['property'] as { readonly name?: string }).name ?? ''
  const subject = node['object'] as Node
  const of = subject.type === 'MemberExpression' ? (subject['object'] as Node) : subject
  return ['only', 'skip', 'todo'].includes(property) && ['test', 'it', 'describe'].some((name) => isNamed(of, name))
}

function isNamed(node: unknown, name: string): boolean {
  return (
    (node as { readonly type?: string }).type === 'Identifier' && (node as { readonly name?: string }).name === name
  )
}

function lookAtImport(walker: Walker, node: Node, line: number): void {
  const from = node['source'] as { readonly value?: unknown } | null | undefined
  if (typeof from?.value !== 'string') return
  const specifier = from.value
  const target = specifier.startsWith('.') ? posix.join(dirname(walker.path), specifier) : undefined
  walker.imports.push({ specifier, target, typeOnly: isTypeOnly(node), line })
}

function isTypeOnly(node: Node): boolean {
  if (node['importKind'] === 'type' || node['exportKind'] === 'type' || node.type === 'TSImportType') return true
  const names = (node['specifiers'] ?? []) as readonly { readonly importKind?: string; readonly exportKind?: string }[]
  return names.length > 0 && names.every((each) => each.importKind === 'type' || each.exportKind === 'type')
}

function readExports(node: Node, lineAt: (offset: number) => number): readonly Export[] {
  if (node.type !== 'ExportNamedDeclaration') return []
  const line = lineAt(node.start)
  const declared = node['declaration'] as Node | null
  if (declared === null) {
    const names = node['specifiers'] as readonly { readonly exported: { readonly name: string } }[]
    return names.map((each) => ({ name: each.exported.name, kind: 'again', parameters: [], async: false, line }))
  }
  if (declared.type !== 'VariableDeclaration') return [describeExport(declared, declared, line)]
  const variables = declared['declarations'] as readonly (Node & { readonly init: Node | null })[]
  return variables.map((variable) => describeExport(variable, variable.init ?? variable, line))
}

function describeExport(named: Node, value: Node, line: number): Export {
  const kind = FUNCTIONS.has(value.type) ? 'function' : value.type === 'ClassDeclaration' ? 'class' : kindOfOther(value)
  const parameters = kind === 'function' ? (value['params'] as readonly Node[]).map(parameterName) : []
  return { name: nameOf(named) ?? '', kind, parameters, async: value['async'] === true, line }
}

function kindOfOther(node: Node): 'type' | 'value' | 'function' {
  if (node.type === 'TSDeclareFunction') return 'function'
  return node.type.startsWith('TS') && node.type.endsWith('Declaration') ? 'type' : 'value'
}

function parameterName(parameter: Node): string {
  const pattern = parameter.type === 'AssignmentPattern' ? (parameter['left'] as Node) : parameter
  return (pattern as { readonly name?: string }).name ?? ''
}

function lineIndex(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
