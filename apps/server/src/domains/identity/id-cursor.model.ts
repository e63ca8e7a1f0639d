import { problem } from '../../platform/problem/problem.ts'

/** The key of the last item of a page, as the opaque `next` of a list whose key is one id. */
export function writeIdCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')
}

/** @throws platform/invalid-input 400 when it is not a `next` of ours */
export function readIdCursor(after: string | undefined): string | null {
  if (after === undefined) return null
  if (!/^[\w-]{22}$/.test(after)) {
    throw problem('platform/invalid-input', { errors: [{ pointer: '/after', message: 'not a `next` of this list' }] })
  }
  const hex = Buffer.from(after, 'base64url').toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Cuts what was read with one row more than asked. */
export function pageOfRows<Row>(rows: readonly Row[], limit: number, idOf: (row: Row) => string) {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, next: rows.length > limit && last !== undefined ? writeIdCursor(idOf(last)) : null }
}
