import { useEffect, useRef, type ReactNode } from 'react'

/** The heading of a page. It takes the focus when the page opens, so that a screen reader says where the user is. */
export function PageHeading({ children }: { readonly children: ReactNode }) {
  const ref = useRef<HTMLHeadingElement>(null)
  useEffect(() => ref.current?.focus({ preventScroll: true }), [])
  return (
    <h1 ref={ref} tabIndex={-1} className="page-heading">
      {children}
    </h1>
  )
}
