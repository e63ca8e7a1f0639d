import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { LanguageProvider } from './i18n/language.tsx'
import { takeLinkToken } from './platform/link-token.ts'
import { createSessionStore } from './session/session-store.ts'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/shell.css'
import './styles/list.css'
import './styles/conversation.css'
import './styles/pages.css'

const linkToken = takeLinkToken()
const store = createSessionStore()
void store.resume()

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <LanguageProvider>
      <App store={store} linkToken={linkToken} />
    </LanguageProvider>
  </StrictMode>,
)
