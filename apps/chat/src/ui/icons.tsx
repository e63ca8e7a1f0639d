import type { ReactNode } from 'react'

/** Icons are decoration: the control that shows one has a name in words. */
function Icon({ children }: { readonly children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const BackIcon = () => (
  <Icon>
    <path d="M15 5l-7 7 7 7" />
  </Icon>
)
export const MenuIcon = () => (
  <Icon>
    <path d="M4 7h16M4 12h16M4 17h16" />
  </Icon>
)
export const PeopleIcon = () => (
  <Icon>
    <circle cx="9" cy="8" r="3.5" />
    <path d="M3 19c.6-3.3 3-5 6-5s5.4 1.7 6 5M16 5a3.5 3.5 0 0 1 0 6.5M17.5 14.4c1.900.7 3.100 2.3 3.5 4.6" />
  </Icon>
)
export const SendIcon = () => (
  <Icon>
    <path d="M4 12l16-8-5 16-3.5-6.5z M11.5 13.5L20 4" />
  </Icon>
)
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
)
export const CloseIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
)
export const DownIcon = () => (
  <Icon>
    <path d="M6 9l6 6 6-6" />
  </Icon>
)
export const ClockIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8" />
    <path d="M12 8v4.5l3 1.5" />
  </Icon>
)
export const CheckIcon = () => (
  <Icon>
    <path d="M5 13l4.5 4.5L19 7" />
  </Icon>
)
export const DoubleCheckIcon = () => (
  <Icon>
    <path d="M2 13l4.5 4.5L15 8M11 16.5l1.5 1L22 7.5" />
  </Icon>
)
export const AlertIcon = () => (
  <Icon>
    <path d="M12 4l9 16H3z M12 10v4.5M12 17.200v.3" />
  </Icon>
)
