import type { WebSocket } from 'ws'

/**
 * Finds half-open sockets: one timer for all of them, a ping to each on every beat. A peer that has sent nothing at all, not
 * even a pong, for three beats is gone, and its socket is dropped.
 */
export interface Heartbeat {
  add(webSocket: WebSocket): void
  remove(webSocket: WebSocket): void
  stop(): void
}

const SILENT_BEATS_MAX = 3

export function createHeartbeat(options: { readonly everyMs: number }): Heartbeat {
  const silentBeats = new Map<WebSocket, number>()
  const timer = setInterval(() => {
    for (const [webSocket, beats] of silentBeats) {
      if (beats >= SILENT_BEATS_MAX) {
        webSocket.close(4408)
        webSocket.terminate()
        continue
      }
      silentBeats.set(webSocket, beats + 1)
      if (webSocket.readyState === webSocket.OPEN) webSocket.ping()
    }
  }, options.everyMs)
  timer.unref()
  return {
    add(webSocket) {
      silentBeats.set(webSocket, 0)
      const hear = () => silentBeats.has(webSocket) && silentBeats.set(webSocket, 0)
      webSocket.on('pong', hear)
      webSocket.on('message', hear)
    },
    remove: (webSocket) => void silentBeats.delete(webSocket),
    stop: () => clearInterval(timer),
  }
}
