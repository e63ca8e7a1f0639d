const LINK = /sign-in-link[/?#](?:token=)?(\S+)$/

/** @returns the secret of a one-time link in the fragment of an address, or undefined when it holds none */
export function parseLinkAddress(hash: string): string | undefined {
  const [, token] = LINK.exec(hash) ?? []
  if (token === undefined) return undefined
  try {
    return decodeURIComponent(token)
  } catch {
    return token
  }
}

/** What a user pastes is the whole link or the secret alone. */
export function parsePastedLink(text: string): string {
  return parseLinkAddress(text.trim()) ?? text.trim()
}
