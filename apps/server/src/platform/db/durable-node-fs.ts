/**
 * Makes the embedded engine's commits durable.
 *
 * PGlite 0.5.16 never calls fsync, whatever `fsync` is set to: Emscripten's NODEFS has no such operation, so the data of
 * a commit stays in the page cache and a power cut loses it (electric-sql/pglite#1107, open). This adds the operation.
 *
 * `wal_sync_method=fsync` belongs to it: the default, fdatasync, is a stub without effect in the WebAssembly build, while
 * fsync goes through the hook below. Renaming over a file remains an unlink followed by a rename (same issue).
 *
 * It also reports the engine's death. A PANIC (a full disk under the write-ahead log, say) ends a PostgreSQL server, which
 * then recovers; here it becomes Emscripten's `abort`, which PGlite swallows, and a ruined engine would go on answering.
 *
 * The hook leans on an inner interface of Emscripten: the version of PGlite is pinned exactly, and a test counts the
 * calls per commit.
 */

import fs from 'node:fs'
import { NodeFS } from '@electric-sql/pglite/nodefs'

interface Stream {
  /** The file's descriptor in Node; a folder has none. */
  readonly nfd?: number
  readonly node: object
}

interface EmscriptenModule {
  readonly NODEFS: { stream_ops: object; realPath(node: object): string }
}

type Init = NodeFS['init']

export class DurableNodeFS extends NodeFS {
  readonly #onSync: () => void
  readonly #onAbort: (reason: unknown) => void

  /**
   * @param onSync   called after each call that reached the disk
   * @param onAbort  called when the engine has ended itself, from inside of its last call
   */
  constructor(directory: string, onSync: () => void, onAbort: (reason: unknown) => void) {
    super(directory)
    this.#onSync = onSync
    this.#onAbort = onAbort
  }

  override async init(...[pg, options]: Parameters<Init>): ReturnType<Init> {
    const { emscriptenOpts } = await super.init(pg, options)
    const hook = (module: unknown): void => this.#addFsync(module as EmscriptenModule)
    const preRun = [hook, ...(emscriptenOpts.preRun ?? [])]
    return { emscriptenOpts: { ...emscriptenOpts, preRun, onAbort: this.#onAbort } }
  }

  #addFsync({ NODEFS }: EmscriptenModule): void {
    const fsync = (stream: Stream): number => {
      if (stream.nfd === undefined) syncFolder(NODEFS.realPath(stream.node))
      else fs.fdatasyncSync(stream.nfd)
      this.#onSync()
      return 0
    }
    NODEFS.stream_ops = { ...NODEFS.stream_ops, fsync }
  }
}

function syncFolder(path: string): void {
  const descriptor = fs.openSync(path, 'r')
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
