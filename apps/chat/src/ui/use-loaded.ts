import { useCallback, useEffect, useState } from 'react'

export interface Loaded<Value> {
  /** Undefined until it was loaded for the first time; what was loaded stays while it is loaded again. */
  readonly value: Value | undefined
  readonly error: unknown
  readonly isLoading: boolean
  readonly reload: () => void
}

/** Loads something when it is shown. `load` must be the same function until something else is to be loaded. */
export function useLoaded<Value>(load: (signal: AbortSignal) => Promise<Value>): Loaded<Value> {
  const [state, setState] = useState<Omit<Loaded<Value>, 'reload'>>(loading)
  const [attempt, setAttempt] = useState(0)
  useEffect(() => {
    const abort = new AbortController()
    setState(({ value }) => ({ ...loading, value }))
    load(abort.signal).then(
      (value) => abort.signal.aborted || setState({ value, error: null, isLoading: false }),
      (error: unknown) => abort.signal.aborted || setState(({ value }) => ({ value, error, isLoading: false })),
    )
    return () => abort.abort()
  }, [load, attempt])
  const reload = useCallback(() => setAttempt((count) => count + 1), [])
  return { ...state, reload }
}

const loading = { value: undefined, error: null, isLoading: true }
