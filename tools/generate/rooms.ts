// docs/reference/rooms.md from apps/server/domains.json: the rooms of the server, for who looks for something.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../suites.ts'
import { ROOMS_FILE, type Room } from '../tidy/project.ts'

const rooms = JSON.parse(readFileSync(join(root, ROOMS_FILE), 'utf8')) as Readonly<Record<string, Room>>
const code = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(' ') || '–'

const rows = Object.entries(rooms).map(([name, { purpose, tables, imports }]) => {
  return `| ${name} | ${purpose} | ${code(tables)} | ${code(imports)} |`
})

const page = `# Rooms of the server

Generated from \`${ROOMS_FILE}\`, the table that the import rules read. What a room is: \`ARCHITECTURE.md\`.

| room | purpose | tables it owns | rooms it may import |
|---|---|---|---|
${rows.join('\n')}
`

mkdirSync(join(root, 'docs/reference'), { recursive: true })
writeFileSync(join(root, 'docs/reference/rooms.md'), page)
