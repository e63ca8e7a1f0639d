import type { Live } from '@sotto/sdk'
import { createCell } from './cell.ts'
import { parseLinkAddress } from './link-token.ts'
import { parseRoute, renderRoute, type Route } from './route.ts'

const route = createCell<Route>({ page: 'conversations' })
const token = createCell<string | undefined>(undefined)

export const currentRoute: Live<Route> = route

/** The secret of the one-time link by which the page was opened. */
export const linkToken: Live<string | undefined> = token

/** Follows the address from now on. A secret in it is taken out before anything else happens, so that no history keeps it. */
export function followAddress(): void {
  const look = (): void => {
    const found = parseLinkAddress(location.hash)
    if (found !== undefined) {
      history.replaceState(null, '', renderRoute({ page: 'sign-in-link' }))
      token.set(found)
    }
    route.set(parseRoute(location.hash))
  }
  look()
  addEventListener('hashchange', look)
}

export function navigate(to: Route, { replace = false }: { readonly replace?: boolean } = {}): void {
  if (replace) history.replaceState(null, '', renderRoute(to))
  else history.pushState(null, '', renderRoute(to))
  route.set(to)
}
