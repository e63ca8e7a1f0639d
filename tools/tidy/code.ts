import { basename } from 'node:path'
import type { Finding, Project, Rule } from './project.ts'
import { isTestFile, type Mark, type Source } from './source.ts'

// Rules about a single source file.

const FILE_LINES_MAX = 500
const FUNCTION_LINES_MAX = 70

export const fileLines: Rule = {
  name: 'file length',
  check: (project) =>
    each(
      project,
      () => true,
      ({ path, text }) => {
        const lines = text.split('\n').length - 1
        if (lines <= FILE_LINES_MAX) return []
        const instead = `split it by what it is about: ${FILE_LINES_MAX} is the most, 60 to 200 the habit`
        return [{ path, line: FILE_LINES_MAX + 1, what: `${lines} lines`, instead }]
      },
    ),
}

export const functionLines: Rule = {
  name: 'function length',
  check: (project) =>
    each(
      project,
      ({ path }) => !isTestFile(path),
      ({ path, functions }) =>
        functions
          .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
          .map(({ name, line, lines }) => ({
            path,
            line,
            what: `${name} has ${lines} lines of its own`,
            instead: `give its steps names: ${FUNCTION_LINES_MAX} is the most`,
          })),
    ),
}

export const fileNames: Rule = {
  name: 'file names',
  check: (project) =>
    each(
      project,
      ({ path }) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/.test(basename(path)),
      ({ path }) => [
        { path, line: 1, what: 'is not kebab-case', instead: 'send-message.ts, message-store.ts, message.model.ts' },
      ],
    ),
}

export const noAny: Rule = forbid(
  'any',
  'any',
  'the type any',
  'unknown at the door, and a schema that turns it into a type',
)
export const noEnum: Rule = forbid(
  'enum',
  'enum',
  'an enum',
  'a union of strings: files run by type stripping, which knows no enums',
)

export const noDefaultExport: Rule = forbid(
  'default exports',
  'default-export',
  'a default export',
  'a named one: one name for one thing, everywhere',
  ({ path }) => !/\.config\.(ts|mjs)$|\/global-setup\.ts$/.test(path),
)

export const noConsole: Rule = forbid(
  'console',
  'console',
  'writes to the console',
  'platform/log in the server, nothing at all in a library: what is printed by hand passes no filter for PHI',
  ({ path }) => /^(apps\/server|packages\/[^/]+)\/src\//.test(path) && !isTestFile(path),
)

export const noAmbientDate: Rule = forbid(
  'ambient time',
  'ambient-date',
  'reads the ambient clock',
  'clock.now() of a Clock that is a parameter: every rule can then be tested at any instant',
  ({ path }) =>
    /^(apps\/server|packages\/[^/]+)\/src\//.test(path) &&
    !isTestFile(path) &&
    !/\/(platform\/time\/|clock\.ts$)/.test(path),
)

export const noFocus: Rule = forbid(
  'focused tests',
  'focus',
  'a test that is focused, skipped or put off',
  'run one file by its name while you work on it; delete a test that no longer holds',
)

function forbid(
  name: string,
  kind: Mark['kind'],
  what: string,
  instead: string,
  where: (source: Source) => boolean = () => true,
): Rule {
  return {
    name,
    check: (project) =>
      each(project, where, ({ path, marks }) =>
        marks.filter((mark) => mark.kind === kind).map(({ line }) => ({ path, line, what, instead })),
      ),
  }
}

function each(
  project: Project,
  where: (source: Source) => boolean,
  check: (source: Source) => readonly Finding[],
): readonly Finding[] {
  return [...project.sources.values()].filter(where).flatMap(check)
}
