/** What a run says: printed as it comes, and kept as a page. */

export interface Section {
  readonly title: string
  /** What was measured beside what, and what to know when reading the figures. */
  readonly about: string
  readonly tables: readonly Table[]
}

export interface Table {
  readonly caption?: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function renderSection({ title, about, tables }: Section): string {
  return [`## ${title}`, '', about, '', ...tables.flatMap((table) => [...renderTable(table), ''])].join('\n')
}

function renderTable({ caption, head, rows }: Table): string[] {
  const cells = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length), 3))
  const line = (row: readonly string[]) => `| ${widths.map((width, at) => (row[at] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [...(caption === undefined ? [] : [caption, '']), line(head), rule, ...rows.map(line)]
}
