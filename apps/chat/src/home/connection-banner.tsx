import type { ConnectionSnapshot } from '@sotto/sdk'
import { useLanguage } from '../i18n/language.tsx'
import type { MessageKey, Translator } from '../i18n/translator.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { useConnection } from '../session/use-connection.ts'

/** How the connection is, when that matters. Nothing is shown while all is well. */
export function ConnectionBanner() {
  const language = useLanguage()
  const connection = useConnection()
  const text = bannerText(language, connection)
  return (
    <output>
      {text === null ? null : (
        <span className={connection.status === 'ended' ? 'banner banner-danger' : 'banner'}>
          <span>{text}</span>
          <BannerAction connection={connection} />
        </span>
      )}
    </output>
  )
}

function bannerText({ t, formatTime }: Translator, connection: ConnectionSnapshot): string | null {
  switch (connection.status) {
    case 'online':
      if (connection.expiring !== null) {
        const { reason, endsAt } = connection.expiring
        return t(`connection.expiring.${reason}`, { time: formatTime(new Date(endsAt).toISOString()) })
      }
      return connection.slow ? t('connection.slow') : null
    case 'connecting':
      return t('connection.connecting')
    case 'reconnecting':
    case 'offline':
      return t(`connection.${connection.status}`)
    case 'ended':
      if (connection.reason === 'protocol') return t('connection.outdated')
      return connection.problem === null ? t('connection.ended') : problemText(t, connection.problem)
  }
}

function BannerAction({ connection }: { readonly connection: ConnectionSnapshot }) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const button = (key: MessageKey & `action.${string}`, run: () => void) => (
    <button type="button" className="button button-small" onClick={run}>
      {t(key)}
    </button>
  )
  if (connection.status === 'online' && connection.expiring?.reason === 'idle') {
    // Looking at one's sessions is an act of the user: it keeps the session.
    return button('action.staySignedIn', () => void sotto.api.listSessions().catch(() => {}))
  }
  if (connection.status === 'reconnecting' || connection.status === 'offline') {
    return button('action.tryNow', sotto.reconnect)
  }
  if (connection.status !== 'ended') return null
  if (connection.reason === 'protocol') return button('action.loadAgain', () => location.reload())
  return button('action.tryNow', sotto.reconnect)
}
