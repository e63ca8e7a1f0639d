import { z } from 'zod'

/** What a client does next: nothing, wait and repeat, sync and repeat, or sign in again. */
export type Retry = 'never' | 'after-delay' | 'after-sync' | 'after-reauth'

export interface ProblemSpec {
  readonly status: number
  readonly title: string
  readonly retry: Retry
  /** One sentence for the reader of the reference: what to do next. */
  readonly advice: string
  /** The advice goes along as the `detail` of the answer: it is for whoever meets it, not only for who reads the reference. */
  readonly tellsAdvice?: true
}

/** RFC 9457 `application/problem+json`, with our stable `code`, retry advice and the places of invalid input. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'URL reference of the documentation of the code' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string().optional().meta({ description: 'The request id, to quote to the operator' }),
    code: z.string().meta({ description: 'Stable: room/kebab-case, never reused, never renamed' }),
    retry: z.enum(['never', 'after-delay', 'after-sync', 'after-reauth']),
    retryAfterMs: z.int().min(0).optional(),
    errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' })

export type ProblemDocument = z.infer<typeof problemSchema>
