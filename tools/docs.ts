// The code in the documents compiles: every block marked `ts` in a Markdown page is a module of its own, checked under
// the project's strict settings. What is no complete module is marked `text`.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runNode } from './run.ts'
import { root, SKIPPED } from './suites.ts'

const folder = '.cache/docs'

export interface Block {
  /** Of its first line, from 1. */
  readonly line: number
  readonly code: string
}

export function codeBlocks(page: string, languages: readonly string[] = ['ts', 'tsx']): readonly Block[] {
  const blocks = new RegExp(`^\`\`\`(?:${languages.join('|')})\\n([\\s\\S]*?)^\`\`\``, 'gm')
  return [...page.matchAll(blocks)].map((match) => ({
    line: page.slice(0, match.index).split('\n').length + 1,
    code: match[1]!,
  }))
}

if (import.meta.main) {
  rmSync(join(root, folder), { recursive: true, force: true })
  mkdirSync(join(root, folder), { recursive: true })
  const pages = globSync('**/*.md', { cwd: root, exclude: (name) => SKIPPED.has(name) })
  const count = pages.toSorted().flatMap(writeBlocks).length
  const { ok, output } = count === 0 ? { ok: true, output: '' } : await compile()
  process.stdout.write(`${output}docs: ${count} blocks of code in ${pages.length} pages\n`)
  process.exitCode = ok ? 0 : 1
}

/** The file's name says the page and the line, so that a compiler's message leads to it. */
function writeBlocks(page: string): readonly Block[] {
  const blocks = codeBlocks(readFileSync(join(root, page), 'utf8'))
  for (const { line, code } of blocks) {
    const name = `${page.replaceAll('/', '__')}.line-${line}.tsx`
    writeFileSync(join(root, folder, name), `${code}\nexport {}\n`)
  }
  return blocks
}

async function compile(): Promise<{ readonly ok: boolean; readonly output: string }> {
  const compilerOptions = {
    lib: ['es2024', 'esnext.disposable', 'dom', 'dom.iterable'],
    jsx: 'react-jsx',
    noUnusedLocals: false,
    noUnusedParameters: false,
  }
  const config = { extends: '../../tsconfig.base.json', compilerOptions, include: ['*.tsx'] }
  writeFileSync(join(root, folder, 'tsconfig.json'), JSON.stringify(config))
  return runNode('node_modules/typescript/bin/tsc', ['-p', folder])
}
