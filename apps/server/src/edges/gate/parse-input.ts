import type { z } from 'zod'
import type { Problem } from '../../platform/problem/problem.ts'
import { problem, type InvalidField } from '../../platform/problem/problem.ts'

/** Holds input against its schema. @throws platform/invalid-input 400 with a pointer (RFC 6901) for each wrong place */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw invalid(result.error.issues)
}

/** Messages are zod's, which name types, limits and unknown keys, and never quote a value. */
function invalid(issues: readonly z.core.$ZodIssue[]): Problem {
  const errors: InvalidField[] = issues.slice(0, 20).map((issue) => ({
    pointer: `/${issue.path.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`.slice(
      0,
      200,
    ),
    message: issue.code === 'unrecognized_keys' ? 'an unknown field' : messageOf(issue),
  }))
  return problem('platform/invalid-input', { errors })
}

function messageOf(issue: z.core.$ZodIssue): string {
  return issue.message.slice(0, 200)
}
