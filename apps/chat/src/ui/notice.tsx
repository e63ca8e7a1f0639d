import type { ReactNode } from 'react'
import { AlertIcon } from './icons.tsx'

/** Says what went wrong, at once and also to a screen reader. Nothing is rendered without a text. */
export function ErrorNotice({ text, children }: { readonly text: string | null; readonly children?: ReactNode }) {
  return (
    <div role="alert">
      {text === null ? null : (
        <div className="notice notice-danger">
          <AlertIcon />
          <div className="notice-body">
            <p>{text}</p>
            {children}
          </div>
        </div>
      )}
    </div>
  )
}
