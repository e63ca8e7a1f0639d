import { DatabaseUnavailable } from '../platform/db/errors.ts'

/**
 * The same operations, of which these tell when nobody knows whether they have happened: the commit was sent, and its answer
 * never came. What they would have published after it has not been published.
 */
export function onDoubt<Operations extends object>(
  operations: Operations,
  names: readonly (keyof Operations)[],
  tell: () => void,
): Operations {
  const told = { ...operations }
  for (const name of names) {
    const operation = operations[name] as (...input: readonly unknown[]) => Promise<unknown>
    const telling = async (...input: readonly unknown[]) => {
      try {
        return await operation(...input)
      } catch (error) {
        if (error instanceof DatabaseUnavailable && error.outcome === 'unknown') tell()
        throw error
      }
    }
    told[name] = telling as Operations[typeof name]
  }
  return told
}
