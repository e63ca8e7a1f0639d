import { useRef, useState } from 'react'

export interface Task {
  readonly isRunning: boolean
  /** What it ended with the last time, if that was an error. */
  readonly error: unknown
  run(work: () => Promise<void>): Promise<void>
  clear(): void
}

/** One act of the user's that takes a while: it runs once at a time, and its error is shown and not lost. */
export function useTask(): Task {
  const [state, setState] = useState<{ readonly isRunning: boolean; readonly error: unknown }>(idle)
  const isRunning = useRef(false)
  return {
    ...state,
    async run(work) {
      if (isRunning.current) return
      isRunning.current = true
      setState({ isRunning: true, error: null })
      try {
        await work()
        setState(idle)
      } catch (error) {
        setState({ isRunning: false, error })
      } finally {
        isRunning.current = false
      }
    },
    clear: () => setState(idle),
  }
}

const idle = { isRunning: false, error: null }
