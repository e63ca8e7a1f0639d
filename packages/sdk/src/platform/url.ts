/** The server's URL without a trailing slash. In a page it may be relative: `''` is the page's own origin. */
export function absoluteUrl(url: string): string {
  const base = (globalThis as { location?: { readonly origin: string } }).location?.origin
  return new URL(url, base).href.replace(/\/+$/, '')
}
