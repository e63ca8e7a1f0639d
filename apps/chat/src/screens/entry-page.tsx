import type { ReactNode } from 'react'
import { LanguageSelect } from '../ui/language-select.tsx'

/** The page around everything that is shown before someone is signed in. */
export function EntryPage({ children }: { readonly children: ReactNode }) {
  return (
    <div className="entry-page">
      <header className="entry-header">
        <span className="brand">Sotto</span>
        <LanguageSelect />
      </header>
      <main className="card entry-card">{children}</main>
    </div>
  )
}
