// docs/reference/settings.md from the table that the server reads its environment by.
import { limitSpecs } from '../../packages/protocol/src/index.ts'
import { settings, type SettingSpec } from '../../apps/server/src/main/config.ts'
import { limitOrder, limitSetting, tunableLimits } from '../../apps/server/src/main/limit-settings.ts'
import { code, table, writePage } from '../reference-pages.ts'

const rows = Object.entries(settings as Readonly<Record<string, SettingSpec>>).map(([name, spec]) => [
  code(name),
  spec.fallback.startsWith('(') ? spec.fallback : code(spec.fallback),
  `${spec.meaning}${spec.secret ? ' Carries a password: it is never shown.' : ''}`,
])
const limitRows = tunableLimits.map((name) => [
  code(limitSetting(name)),
  `${limitSpecs[name].value} ${limitSpecs[name].unit}`,
  `${limitSpecs[name].min} to ${limitSpecs[name].max}`,
  limitSpecs[name].meaning,
])
const orders = limitOrder.map(
  ([smaller, larger, otherwise]) => `- ${code(limitSetting(smaller))} ≤ ${code(limitSetting(larger))}: ${otherwise}.`,
)

writePage(
  'docs/reference/settings.md',
  `# Settings

Generated from \`apps/server/src/main/config.ts\`. Settings come from the environment. An empty one counts as not set. A wrong value, a name that
begins with \`SOTTO_\` and is not in these tables, or settings that contradict each other refuse the start, all of them in one message.

${table(['name', 'default', 'meaning'], rows)}

## Limits that an operator may change

Whole numbers. All limits, with those that are part of the contract: [limits](limits.md).

${table(['name', 'default', 'from … to', 'meaning'], limitRows)}

No first of these may be more than its second, or else:

${orders.join('\n')}
`,
)
