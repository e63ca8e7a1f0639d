/**
 * The reference of a cold start: the same database is opened by its own library, asked one question, and an HTTP server
 * listens. `node bench/bare-start.ts <folder or postgres:// address>` prints `ready <port>` and ends at SIGTERM.
 */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const place = process.argv[2]!

async function openBare(): Promise<() => Promise<void>> {
  if (place.startsWith('postgres:')) {
    const { default: pg } = await import('pg')
    const pool = new pg.Pool({ connectionString: place })
    await pool.query('select 1')
    return () => pool.end()
  }
  const { PGlite } = await import('@electric-sql/pglite')
  const engine = await PGlite.create(place)
  await engine.query('select 1')
  return () => engine.close()
}

const close = await openBare()
const http = createServer((_request, response) => response.end('ok'))
http.listen(0, '127.0.0.1', () =>
  process.stdout.write(`ready http://127.0.0.1:${(http.address() as AddressInfo).port}\n`),
)
process.once('SIGTERM', () => {
  http.close()
  http.closeAllConnections()
  void close().then(() => process.exit(0))
})
