import { problem } from '../problem/problem.ts'

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** The key after which a page begins, for lists that are in the order of their ids. @throws platform/invalid-input 400 */
export function assertPageKey(after: string | undefined): string {
  if (after === undefined) return BEFORE_ALL
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(after)) return after
  throw problem('platform/invalid-input', { errors: [{ pointer: '/after', message: 'not the `next` of a page' }] })
}
