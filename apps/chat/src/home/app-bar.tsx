import { useEffect, useEffectEvent, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { currentRoute } from '../platform/navigation.ts'
import { renderRoute, type Route } from '../platform/route.ts'
import { useLive } from '../platform/use-live.ts'
import { useSession } from '../session/session-context.tsx'
import { useSignOut } from '../session/use-sign-out.tsx'
import { MenuIcon } from '../ui/icons.tsx'
import { LanguageSelect } from '../ui/language-select.tsx'
import { mayReadAudit } from './may.ts'

export function AppBar() {
  const { t } = useLanguage()
  const { session } = useSession()
  const route = useLive(currentRoute)
  const { page } = route
  /** Where the menu was opened: going elsewhere closes it. */
  const [openAt, setOpenAt] = useState<Route | null>(null)
  const isOpen = openAt === route
  useEscape(isOpen, () => setOpenAt(null))
  return (
    <header className="app-bar">
      <a className="brand" href={renderRoute({ page: 'conversations' })}>
        Sotto
      </a>
      <button
        type="button"
        className="button button-icon menu-button"
        aria-expanded={isOpen}
        aria-controls="app-menu"
        onClick={() => setOpenAt(isOpen ? null : route)}
      >
        <MenuIcon />
        <span className="visually-hidden">{t('menu.label')}</span>
      </button>
      <div id="app-menu" className={isOpen ? 'app-menu app-menu-open' : 'app-menu'}>
        <nav aria-label={t('menu.label')}>
          <ul className="app-nav">
            <NavItem page="conversations" isCurrent={page !== 'audit' && page !== 'devices'} />
            {mayReadAudit(session.user.role) ? <NavItem page="audit" isCurrent={page === 'audit'} /> : null}
            <NavItem page="devices" isCurrent={page === 'devices'} />
          </ul>
        </nav>
        <LanguageSelect />
        <p className="app-user">
          <bdi className="clip">{session.user.displayName}</bdi>
          <span className="hint">{t(`role.${session.user.role}`)}</span>
        </p>
        <SignOutButton />
      </div>
    </header>
  )
}

function useEscape(isActive: boolean, run: () => void): void {
  const onEscape = useEffectEvent(run)
  useEffect(() => {
    if (!isActive) return
    const listener = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') onEscape()
    }
    addEventListener('keydown', listener)
    return () => removeEventListener('keydown', listener)
  }, [isActive])
}

type NavPage = Extract<Route['page'], 'conversations' | 'audit' | 'devices'>

function NavItem({ page, isCurrent }: { readonly page: NavPage; readonly isCurrent: boolean }) {
  const { t } = useLanguage()
  return (
    <li>
      <a className="nav-link" href={renderRoute({ page })} aria-current={isCurrent ? 'page' : undefined}>
        {t(`nav.${page}`)}
      </a>
    </li>
  )
}

function SignOutButton() {
  const { t } = useLanguage()
  const { start, dialog } = useSignOut()
  return (
    <>
      <button type="button" className="button" onClick={start}>
        {t('action.signOut')}
      </button>
      {dialog}
    </>
  )
}
