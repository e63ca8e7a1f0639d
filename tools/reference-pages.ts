// What the generators of docs/reference share: where pages go, and how tables are written.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './suites.ts'

/** @param path  from the root */
export function writePage(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), `${text.trimEnd()}\n`)
}

export function writeJson(path: string, value: unknown): void {
  writePage(path, JSON.stringify(value, undefined, 2))
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(heads), `|${'---|'.repeat(heads.length)}`, ...rows.map(line)].join('\n')
}

export function code(text: string): string {
  return `\`${text}\``
}

/** `–` where there is none: an empty cell looks forgotten. */
export function codes(texts: readonly string[]): string {
  return texts.map(code).join(', ') || '–'
}

/** Where the heading `### identity/login-taken` of problems.md is found: a slash is no part of a fragment. */
export function linkToProblem(code: string): string {
  return `[\`${code}\`](problems.md#${code.replace('/', '')})`
}
