import type { Runtime } from './runtime.ts'

/** The part of a page's or a worker's global that tells about the device. */
export interface Device {
  readonly addEventListener?: (type: string, listener: () => void) => void
  readonly removeEventListener?: (type: string, listener: () => void) => void
  readonly navigator?: { readonly onLine?: boolean }
  readonly document?: {
    readonly visibilityState: string
    addEventListener(type: string, listener: () => void): void
    removeEventListener(type: string, listener: () => void): void
  }
}

/**
 * Tells the engine when the device gets or loses a network, and when the page is looked at again or comes back from sleep
 * or from the browser's cache of pages: then a socket that died meanwhile is found at once. In Node nobody tells, and
 * the heartbeat finds out. @returns ends it
 */
export function watchDevice(runtime: Pick<Runtime, 'dispatch'>, device: Device = globalThis as Device): () => void {
  const { document } = device
  if (device.addEventListener === undefined) return () => {}
  const online = (): void => runtime.dispatch({ type: 'network', offline: false })
  const offline = (): void => runtime.dispatch({ type: 'network', offline: true })
  const wake = (): void => {
    if (document?.visibilityState !== 'hidden') runtime.dispatch({ type: 'wake' })
  }
  const listened = [
    [device, 'online', online],
    [device, 'offline', offline],
    [device, 'pageshow', wake],
    [document, 'visibilitychange', wake],
    [document, 'resume', wake],
  ] as const
  for (const [target, type, listener] of listened) target?.addEventListener?.(type, listener)
  if (device.navigator?.onLine === false) offline()
  return () => {
    for (const [target, type, listener] of listened) target?.removeEventListener?.(type, listener)
  }
}
