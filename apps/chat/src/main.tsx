import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { LanguageProvider } from './i18n/language.tsx'
import { followAddress } from './platform/navigation.ts'
import { createSessionStore } from './session/session-store.ts'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/shell.css'
import './styles/list.css'
import './styles/conversation.css'
import './styles/pages.css'

followAddress()
const store = createSessionStore()
void store.resume()

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <LanguageProvider>
      <App store={store} />
    </LanguageProvider>
  </StrictMode>,
)
