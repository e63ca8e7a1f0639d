import { z } from 'zod'
import { limitSpecs } from '../limits.ts'

/** Lists are paged by an opaque key; a page says where the next begins. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(limitSpecs.pageSizeMax.value).default(limitSpecs.pageSizeDefault.value),
  after: z.string().max(500).optional().meta({ description: '`next` of the page before' }),
}

export function pageOf<S extends z.ZodType>(item: S) {
  return z.object({ items: z.array(item), next: z.string().nullable() })
}
