// Style as a test that fails: every rule says where, what, and what instead. `node tools/tidy.ts`
import * as code from './tidy/code.ts'
import * as floors from './tidy/floors.ts'
import * as furniture from './tidy/furniture.ts'
import * as graph from './tidy/graph.ts'
import * as packages from './tidy/packages.ts'
import { loadProject, type Finding, type Rule } from './tidy/project.ts'
import * as text from './tidy/text.ts'
import { root } from './suites.ts'

export const rules: readonly Rule[] = [floors, furniture, graph, code, text, packages].flatMap((module) =>
  Object.values(module).filter(isRule),
)

export interface NamedFinding extends Finding {
  readonly rule: string
}

/** Runs every rule over the project in `folder`. */
export function tidy(folder: string): readonly NamedFinding[] {
  const project = loadProject(folder)
  const findings = rules.flatMap((rule) => rule.check(project).map((finding) => ({ ...finding, rule: rule.name })))
  return findings.toSorted((left, right) =>
    left.path === right.path ? left.line - right.line : left.path < right.path ? -1 : 1,
  )
}

function isRule(value: unknown): value is Rule {
  return typeof value === 'object' && value !== null && 'check' in value
}

if (import.meta.main) {
  const findings = tidy(root)
  for (const { path, line, rule, what, instead } of findings) {
    process.stdout.write(`${path}:${line} [${rule}] ${what}\n    instead: ${instead}\n`)
  }
  process.stdout.write(`tidy: ${rules.length} rules, ${findings.length} findings\n`)
  process.exitCode = findings.length === 0 ? 0 : 1
}
