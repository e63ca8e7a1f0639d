/** Errors that carry a message for the operator, by name; anything else is a mistake of ours and shows where it happened. */
const forPeople = [
  'ConfigurationRefused',
  'KeyringRefused',
  'DirectoryInUse',
  'DatabaseUnavailable',
  'StatementFailed',
  'Problem',
  'CommandRefused',
]

export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `sotto: ${String(error)}`
  const code = (error as { readonly code?: unknown }).code
  if (code === 'EADDRINUSE')
    return 'sotto: The port is in use. Stop what listens there, or choose another with SOTTO_PORT.'
  if (forPeople.includes(error.name) || error.constructor === Error) return `sotto: ${error.message}`
  return `sotto: ${error.stack ?? error.message}`
}

/** A command cannot do what was asked, and says what to do instead. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused'
}
