import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The server that `npm run dev` talks to; a built page is served by the server itself.
const server = process.env['SOTTO_URL'] ?? 'http://127.0.0.1:8080'

/**
 * The policy of the server allows files of its own origin and nothing inline: every asset is a file with a hash in its
 * name, and there is no polyfill that the bundler would write into the page.
 */
export default defineConfig({
  base: '/',
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    sourcemap: false,
    reportCompressedSize: true,
  },
  server: {
    proxy: { '/v1': { target: server, ws: true } },
  },
})
