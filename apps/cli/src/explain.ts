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

interface SystemError {
  readonly code?: unknown
  readonly port?: number
  readonly path?: string
  /** Of a look-up of names. */
  readonly hostname?: string
}

/** What the system says by a code, in words that say what to do. */
const ofTheSystem: Readonly<Record<string, (error: SystemError) => string | undefined>> = {
  EADDRINUSE: ({ port }) =>
    `Port ${port ?? ''} is in use. Stop what listens there, or choose another with SOTTO_PORT (0 takes a free one).`,
  EADDRNOTAVAIL: () => 'SOTTO_HOST is no address of this machine.',
  ENOTFOUND: nameNotFound,
  EAI_AGAIN: nameNotFound,
  EACCES: ({ port, path }) =>
    port === undefined
      ? `${path ?? 'A file'} is not ours to use: check who owns it.`
      : `Port ${port} is not ours to listen on. Choose one above 1023 with SOTTO_PORT.`,
  ENOSPC: () => 'The disk is full. Make room and start again; what was acknowledged is safe.',
}

/** A database that cannot be found is told by its own error, which has no host name in it. */
function nameNotFound({ hostname }: SystemError): string | undefined {
  return hostname === undefined ? undefined : `SOTTO_HOST (${hostname}) is a name that leads to no address.`
}

/** @returns one line, or a few, for the operator; never a stack of what an operator can mend */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return `sotto: ${String(error)}`
  const system = error as SystemError
  const advice = typeof system.code === 'string' ? ofTheSystem[system.code]?.(system) : undefined
  if (advice !== undefined) return `sotto: ${advice}`
  if (forPeople.includes(error.name) || error.constructor === Error) return `sotto: ${error.message}`
  return `sotto: ${error.stack ?? error.message}`
}

/** A command cannot do what was asked, and says what to do instead. */
export class CommandRefused extends Error {
  override readonly name = 'CommandRefused'
}
