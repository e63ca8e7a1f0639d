const LINK = /^#\/sign-in-link[/?#](?:token=)?(.+)$/

/**
 * Takes the secret of a one-time link out of the address, before anything else runs, so that it stays in no history.
 *
 * @returns the secret, or undefined when the address holds none
 */
export function takeLinkToken(): string | undefined {
  const [, token] = LINK.exec(location.hash) ?? []
  if (token === undefined) return undefined
  history.replaceState(null, '', '#/sign-in-link')
  try {
    return decodeURIComponent(token)
  } catch {
    return token
  }
}

/** What a user pastes is the whole link or the secret alone. */
export function parsePastedLink(text: string): string {
  const [, token] = /sign-in-link[/?#](?:token=)?([^\s]+)/.exec(text) ?? []
  return token ?? text.trim()
}
