import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Finding, Project, Rule } from './project.ts'

// Rules about text of any kind. The patterns are put together from pieces, so that this file does not match itself.

const MARKERS = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`)
const MACHINE_PATHS = new RegExp(`(?<![\\w.~/:-])/(${['work', 'ro' + 'ot', 'ho' + 'me'].join('|')})/[\\w.]`)
const REGISTRIES = new RegExp(
  [
    ['registry', 'npmjs', 'org'],
    ['registry', 'yarnpkg', 'com'],
    ['npm', 'pkg', 'github', 'com'],
    ['deb', 'debian', 'org'],
    ['pypi', 'org'],
  ]
    .map((parts) => parts.join('\\.'))
    .join('|'),
)

export const markers: Rule = forbid(
  'markers',
  MARKERS,
  'a marker of unfinished work',
  'finish it, or say in a sentence what does not hold and why',
)

export const machinePaths: Rule = forbid(
  'machine paths',
  MACHINE_PATHS,
  'a path of one machine',
  'a path from the root of the project, or a setting',
)

export const registryHosts: Rule = forbid(
  'registry hosts',
  REGISTRIES,
  'the host of a package registry',
  "the client's own configuration says where packages come from; make the lockfile with omit-lockfile-registry-resolved",
)

export const switchedOff: Rule = forbid(
  'switched off',
  new RegExp(`(ox|es)lint-${'dis' + 'able'}|@ts-${'ig' + 'nore'}|@ts-${'no' + 'check'}`),
  'a check is switched off at the line',
  'write it so that the check passes, or give the place its own rule, with the reason, in .oxlintrc.json',
)

export const links: Rule = { name: 'links', check: checkLinks }
export const paths: Rule = { name: 'paths', check: checkPaths }

function forbid(name: string, pattern: RegExp, what: string, instead: string): Rule {
  return {
    name,
    check: (project) =>
      allTexts(project).flatMap(([path, text]) => {
        if (!pattern.test(text)) return []
        return text
          .split('\n')
          .flatMap((content, index) => (pattern.test(content) ? [{ path, line: index + 1, what, instead }] : []))
      }),
  }
}

function allTexts(project: Project): readonly (readonly [string, string])[] {
  return [...[...project.sources.values()].map(({ path, text }) => [path, text] as const), ...project.texts]
}

/** Relative links in Markdown lead to files of the project, and fragments to headings of them. */
function checkLinks(project: Project): readonly Finding[] {
  const pages = [...project.texts].filter(([path]) => path.endsWith('.md'))
  return pages.flatMap(([path, text]) =>
    withoutCode(text)
      .split('\n')
      .flatMap((content, index) =>
        [...content.matchAll(/\]\(([^()\s]+)\)/g)]
          .map((match) => match[1]!)
          .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link) && !leadsSomewhere(project, path, link))
          .map((link) => ({ path, line: index + 1, what: `the link ${link} leads nowhere`, instead: 'correct it' })),
      ),
  )
}

function leadsSomewhere(project: Project, from: string, link: string): boolean {
  const [file = '', fragment] = link.split('#')
  const target = file === '' ? from : file.startsWith('/') ? file.slice(1) : join(dirname(from), file)
  if (!existsSync(join(project.root, target))) return false
  const page = project.texts.get(target)
  if (fragment === undefined || fragment === '' || page === undefined || !target.endsWith('.md')) return true
  return headings(page).includes(fragment)
}

/** What no file of the project is: names in examples, and what a server or a run of the tests writes. */
const NOT_OURS = new Set([
  'demo.json',
  'docs/reference/bench.md',
  'docs/reference/test-long.md',
  'hello.ts',
  'mute-conversation.test.ts',
  'mute-conversation.ts',
  'name.test.ts',
])
const FILE = /^[\w.@-]+(\/[\w.@-]+)*\.(ts|tsx|mjs|json|md|sql|svg|css|html)$/
const FOLDER = /^(apps|packages|docs|test|tools|bench)\/[\w./@-]*$/
const IGNORED = /^(\.sotto|\.cache|node_modules)\//

/** File names in backticks, written from the root, from the page or from any folder in between, are files of the project. */
function checkPaths(project: Project): readonly Finding[] {
  const files = [...project.sources.keys(), ...project.texts.keys()]
  const endings = new Set(files.flatMap(endingsOf))
  const isThere = (name: string): boolean => {
    // In the flows `sdk/` stands for `packages/sdk/src/`, as they say themselves.
    if (FILE.test(name))
      return endings.has(name.replace(/^sdk\//, 'packages/sdk/src/')) || existsSync(join(project.root, name))
    return !FOLDER.test(name) || existsSync(join(project.root, name))
  }
  return [...project.texts]
    .filter(([path]) => path.endsWith('.md'))
    .flatMap(([path, text]) =>
      withoutFences(text)
        .split('\n')
        .flatMap((content, index) =>
          [...content.matchAll(/`([^`\s]+)`/g)]
            .map((match) => match[1]!)
            .filter((name) => !NOT_OURS.has(name) && !IGNORED.test(name) && !isThere(name))
            .map((name) => ({
              path,
              line: index + 1,
              what: `there is no ${name}`,
              instead: 'name the file as it is called now',
            })),
        ),
    )
}

/** `a/b/c.ts` → `a/b/c.ts`, `b/c.ts`, `c.ts` */
function endingsOf(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(index).join('/'))
}

function headings(page: string): readonly string[] {
  const titles = [...withoutCode(page).matchAll(/^#+\s+(.+)$/gm)].map((match) => match[1]!)
  return titles.map((title) =>
    title
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}

/** Blanks fenced blocks and inline code, keeping the lines. */
function withoutCode(text: string): string {
  return withoutFences(text).replace(/`[^`\n]*`/g, '``')
}

function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, ''))
}
