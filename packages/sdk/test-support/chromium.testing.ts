import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'
import { bundleSdk } from './bundle.testing.ts'

/** Where Chromium is; undefined when the machine has none. */
export const chromiumPath = [process.env['SOTTO_CHROMIUM'], '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
  (path) => path !== undefined && existsSync(path),
)

/** One origin with a page that has the SDK in `window.sdk`, and the server's API behind it; and a browser that opens it. */
export interface BrowserHouse extends AsyncDisposable {
  readonly url: string
  readonly context: BrowserContext
}

export async function openBrowserHouse(serverUrl: string): Promise<BrowserHouse> {
  const { code } = await bundleSdk()
  const page =
    '<!doctype html><title>t</title><script type="module">import * as sdk from "/sdk.js"; window.sdk = sdk</script>'
  const { port, hostname } = new URL(serverUrl)
  const front = createServer((incoming, outgoing) => {
    if (incoming.url === '/') return void outgoing.writeHead(200, { 'content-type': 'text/html' }).end(page)
    if (incoming.url === '/sdk.js') return void outgoing.writeHead(200, { 'content-type': 'text/javascript' }).end(code)
    const onward = request({
      host: hostname,
      port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
    })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    incoming.pipe(onward)
  })
  front.on('upgrade', (incoming, socket, head) => {
    const onward = connect(Number(port), hostname, () => {
      const headers = incoming.rawHeaders.map((text, index) => (index % 2 === 0 ? `\r\n${text}: ` : text)).join('')
      onward.write(`GET ${incoming.url} HTTP/1.1${headers}\r\n\r\n`)
      onward.write(head)
      socket.pipe(onward).pipe(socket)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  const profile = await mkdtemp(join(tmpdir(), 'sotto-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath ?? '',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  })
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}/`,
    context,
    async [Symbol.asyncDispose]() {
      await context.close()
      front.closeAllConnections()
      await new Promise((resolve) => front.close(resolve))
      await rm(profile, { recursive: true, force: true })
    },
  }
}
