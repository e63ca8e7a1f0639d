import { useCallback, useEffect, useState } from 'react'

export interface Loaded<Value> {
  /** Undefined until it was loaded for the first time; what was loaded stays while it is loaded again. */
  readonly value: Value | undefined
  readonly error: unknown
  readonly isLoading: boolean
  readonly reload: () => void
}

type Load<Value> = (signal: AbortSignal) => Promise<Value>

interface Outcome<Value> {
  readonly load: Load<Value> | null
  readonly attempt: number
  readonly value: Value | undefined
  readonly error: unknown
}

/** Loads something when it is shown. `load` must be the same function until something else is to be loaded. */
export function useLoaded<Value>(load: Load<Value>): Loaded<Value> {
  const [attempt, setAttempt] = useState(0)
  const [outcome, setOutcome] = useState<Outcome<Value>>({ load: null, attempt, value: undefined, error: null })
  useEffect(() => {
    const abort = new AbortController()
    load(abort.signal).then(
      (value) => abort.signal.aborted || setOutcome({ load, attempt, value, error: null }),
      (error: unknown) => abort.signal.aborted || setOutcome(({ value }) => ({ load, attempt, value, error })),
    )
    return () => abort.abort()
  }, [load, attempt])
  const reload = useCallback(() => setAttempt((count) => count + 1), [])
  const isLoading = outcome.load !== load || outcome.attempt !== attempt
  return { value: outcome.value, error: isLoading ? null : outcome.error, isLoading, reload }
}
