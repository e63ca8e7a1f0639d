/**
 * Where the user is. The address holds the names of pages and opaque ids, never a name, a text or a secret: addresses end
 * up in histories, on screens and in screenshots.
 */
export type Route =
  | { readonly page: 'conversations' }
  | { readonly page: 'conversation'; readonly conversationId: string; readonly people: boolean }
  | { readonly page: 'new' }
  | { readonly page: 'devices' }
  | { readonly page: 'audit' }
  | { readonly page: 'sign-in-link' }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function parseRoute(hash: string): Route {
  const [page = '', id = '', part = ''] = hash.replace(/^#\/?/, '').split(/[/?]/)
  if (page === 'c' && UUID.test(id)) return { page: 'conversation', conversationId: id, people: part === 'people' }
  if (page === 'new' || page === 'devices' || page === 'audit' || page === 'sign-in-link') return { page }
  return { page: 'conversations' }
}

export function renderRoute(route: Route): string {
  if (route.page === 'conversations') return '#/'
  if (route.page !== 'conversation') return `#/${route.page}`
  return `#/c/${route.conversationId}${route.people ? '/people' : ''}`
}
