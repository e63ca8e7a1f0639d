import type { Runtime } from './runtime.ts'

/** The part of a page's window that tells about the device. */
interface Page {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
  readonly document?: Page & { readonly visibilityState: string }
}

/** Tells the engine when the device gets or loses a network and when the page is looked at again. @returns ends it */
export function watchDevice(runtime: Runtime): () => void {
  const page = globalThis as unknown as Partial<Page>
  const { document } = page
  if (page.addEventListener === undefined || document === undefined) return () => {}
  const online = (): void => runtime.dispatch({ type: 'network', offline: false })
  const offline = (): void => runtime.dispatch({ type: 'network', offline: true })
  const visible = (): void => {
    if (document.visibilityState === 'visible') runtime.dispatch({ type: 'wake' })
  }
  page.addEventListener('online', online)
  page.addEventListener('offline', offline)
  document.addEventListener('visibilitychange', visible)
  return () => {
    page.removeEventListener?.('online', online)
    page.removeEventListener?.('offline', offline)
    document.removeEventListener('visibilitychange', visible)
  }
}
