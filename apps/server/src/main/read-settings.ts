import { isIP } from 'node:net'
import { Secret } from '../platform/phi/phi.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads single settings; what is wrong with one goes to `problems`, and reading goes on. */
export type Reader<Name extends string> = ReturnType<typeof createReader<Name>>

/**
 * @param env        an empty setting counts as not set
 * @param fallbacks  what counts where nothing is set
 */
export function createReader<Name extends string>(
  env: Environment,
  fallbacks: Readonly<Record<Name, string>>,
  problems: string[],
) {
  const find = (name: Name) => env[name] || undefined
  const get = (name: Name): string => find(name) ?? fallbacks[name]
  return {
    find,
    text: get,
    integer(name: Name, min: number, max: number): number {
      const value = /^\d+$/.test(get(name)) ? Number(get(name)) : NaN
      if (!(value >= min && value <= max)) problems.push(`${name} is not a whole number from ${min} to ${max}`)
      return value
    },
    oneOf<const Choice extends string>(name: Name, choices: readonly Choice[]): Choice {
      const value = get(name) as Choice
      if (!choices.includes(value)) problems.push(`${name} is none of ${choices.join(', ')}`)
      return value
    },
    host(name: Name): string {
      const text = get(name)
      if (!isHost(text)) problems.push(`${name} is neither an IP address nor a host name`)
      return text
    },
    /** @returns scheme, host and port; it may carry a password by mistake, so it is not repeated in a message */
    address(name: Name): string | undefined {
      const text = find(name)
      if (text === undefined) return undefined
      if (!isUrl(text, ['http:', 'https:'])) {
        problems.push(`${name} is not a URL that begins with http:// or https://`)
        return undefined
      }
      const { origin, username, password, pathname } = new URL(text)
      if (username !== '' || password !== '' || pathname !== '/' || /[?#]/.test(text))
        problems.push(`${name} has more than scheme, host and port: write it like https://chat.example.org`)
      return origin
    },
    /** A database's URL carries a password: it is never repeated in a message. */
    databaseUrl(name: Name): Secret<string> | undefined {
      const text = find(name)
      if (text === undefined) return undefined
      const problem = problemOfDatabaseUrl(text)
      if (problem !== undefined) problems.push(`${name} ${problem}`)
      return new Secret(text)
    },
    origins(name: Name): readonly string[] {
      const list = (find(name) ?? '')
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')
      for (const origin of list)
        if (!isUrl(origin, ['http:', 'https:']) || new URL(origin).origin !== origin)
          problems.push(`${name}: ${origin} is not an origin like https://app.example.org`)
      return list
    },
  }
}

function problemOfDatabaseUrl(text: string): string | undefined {
  if (!isUrl(text, ['postgres:', 'postgresql:'])) return 'is not a URL that begins with postgres://'
  const { username, password, pathname } = new URL(text)
  if (username === '') return 'names no user: postgres://<user>:<password>@<host>/<database>'
  if (![username, password, pathname].every(isPercentEncoded))
    return 'has a % that begins no percent-encoded character: write % itself as %25'
  return undefined
}

function isUrl(text: string, protocols: readonly string[]): boolean {
  return URL.canParse(text) && protocols.includes(new URL(text).protocol)
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** A host name's last part is not a number, or it would be read as an address that it is not (WHATWG URL §3.5). */
function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true
  const labels = text.split('.')
  return labels.every((label) => /^\w([\w-]{0,61}\w)?$/.test(label)) && !/^\d+$/.test(labels.at(-1)!)
}
