import type { Config } from '@sotto/server'

export interface AddressToPrint {
  readonly url: string
  /** What a person has to know to use it: '' when it can be used as it stands. */
  readonly note: string
}

/** The address for people, before a server runs: with port 0 nobody knows the port yet. */
export function addressToPrint({ publicUrl }: Pick<Config, 'publicUrl'>): AddressToPrint {
  if (!publicUrl.endsWith(':0')) return { url: publicUrl, note: '' }
  return { url: publicUrl.replace(/:0$/, ':<port>'), note: 'SOTTO_PORT is 0: `sotto serve` prints the port.' }
}
