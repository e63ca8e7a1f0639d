import type { WebSocket } from 'ws'

/**
 * Finds half-open sockets: one timer for all of them, a ping to each on every beat. A peer that has sent nothing at all, not
 * even a pong, for three beats is gone, and its socket is dropped.
 */
export interface Heartbeat {
  /** @param onSilent  cuts the socket: nobody is there to shake hands with */
  add(webSocket: WebSocket, onSilent: () => void): void
  remove(webSocket: WebSocket): void
  stop(): void
}

const SILENT_BEATS_MAX = 3

export function createHeartbeat(options: { readonly everyMs: number }): Heartbeat {
  const sockets = new Map<WebSocket, { silentBeats: number; readonly onSilent: () => void }>()
  const timer = setInterval(() => {
    for (const [webSocket, state] of sockets) {
      if (state.silentBeats >= SILENT_BEATS_MAX) {
        state.onSilent()
        continue
      }
      state.silentBeats++
      if (webSocket.readyState === webSocket.OPEN) webSocket.ping()
    }
  }, options.everyMs)
  timer.unref()
  return {
    add(webSocket, onSilent) {
      const state = { silentBeats: 0, onSilent }
      sockets.set(webSocket, state)
      const hear = () => void (state.silentBeats = 0)
      webSocket.on('pong', hear)
      webSocket.on('message', hear)
    },
    remove: (webSocket) => void sockets.delete(webSocket),
    stop: () => clearInterval(timer),
  }
}
