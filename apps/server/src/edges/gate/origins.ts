/**
 * Which pages may call: those that this server serves, and the origins that the operator allows. A request without an
 * Origin is not a page's (RFC 6454 §7.3), and carries no cookie of ours unless it was given one.
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true
  if (allowed.includes(origin)) return true
  try {
    return host !== undefined && new URL(origin).host === host.toLowerCase()
  } catch {
    return false
  }
}
