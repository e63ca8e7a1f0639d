import type { Device, Sotto } from '@sotto/sdk'
import { useCallback, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { UNNAMED_DEVICE } from '../platform/device-name.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { UnsentWarning, useSignOut } from '../session/use-sign-out.tsx'
import { ConfirmDialog } from '../ui/confirm-dialog.tsx'
import { LoadProblem } from '../ui/load-problem.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { useLoaded } from '../ui/use-loaded.ts'
import { useTask } from '../ui/use-task.ts'
import { listAll } from '../session/list-all.ts'

/** Where the user is signed in. A device that is lost is removed here. */
export function DevicesScreen() {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const load = useCallback(
    async () => ({
      devices: await listAll((page) => sotto.api.listDevices(page)),
      sessions: await listAll((page) => sotto.api.listSessions(page)),
    }),
    [sotto],
  )
  const loaded = useLoaded(load)
  const devices = (loaded.value?.devices ?? []).filter(({ revokedAt }) => revokedAt === null)
  return (
    <section className="pane page" aria-label={t('devices.title')}>
      <PageHeading>{t('devices.title')}</PageHeading>
      <p>{t('devices.text')}</p>
      {loaded.isLoading && loaded.value === undefined ? <output>{t('devices.loading')}</output> : null}
      <LoadProblem loaded={loaded} />
      <ul className="cards">
        {devices.map((device) => (
          <DeviceCard
            key={device.deviceId}
            device={device}
            sessions={(loaded.value?.sessions ?? []).filter(({ deviceId }) => deviceId === device.deviceId)}
            onChanged={loaded.reload}
          />
        ))}
      </ul>
    </section>
  )
}

type SessionRecord = Awaited<ReturnType<Sotto['api']['listSessions']>>['items'][number]

interface DeviceCardProps {
  readonly device: Device
  readonly sessions: readonly SessionRecord[]
  readonly onChanged: () => void
}

function DeviceCard({ device, sessions, onChanged }: DeviceCardProps) {
  const { t, formatDateTime, formatDate } = useLanguage()
  const { session, sotto, store } = useSession()
  const [isAsking, setAsking] = useState(false)
  const task = useTask()
  const isThis = device.deviceId === session.deviceId
  const name = device.name === UNNAMED_DEVICE ? t('devices.unnamed') : device.name

  function revoke(): void {
    setAsking(false)
    void task.run(async () => {
      const revokeDevice = async (): Promise<void> => {
        await sotto.api.revokeDevice({ deviceId: device.deviceId })
      }
      if (isThis) return await store.signOut(revokeDevice)
      await revokeDevice()
      onChanged()
    })
  }

  return (
    <li className="card">
      <h2>
        <bdi>{name}</bdi>
        {isThis ? <span className="tag">{t('devices.this')}</span> : null}
      </h2>
      <p className="hint">
        {t('devices.added', { date: formatDate(device.createdAt) })} ·{' '}
        {t('devices.lastSeen', { date: formatDateTime(device.lastSeenAt) })}
      </p>
      {sessions.map((each) => (
        <SessionLine key={each.sessionId} session={each} onChanged={onChanged} />
      ))}
      <div className="buttons">
        <button type="button" className="button" disabled={task.isRunning} onClick={() => setAsking(true)}>
          {t('devices.revoke')}
          <span className="visually-hidden"> {name}</span>
        </button>
      </div>
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      {isAsking ? (
        <ConfirmDialog
          title={t('devices.revokeTitle', { name })}
          confirm={t('devices.revoke')}
          onConfirm={revoke}
          onCancel={() => setAsking(false)}
        >
          <p>{isThis ? t('devices.revokeThis') : t('devices.revokeText')}</p>
          {isThis ? <UnsentWarning /> : null}
        </ConfirmDialog>
      ) : null}
    </li>
  )
}

interface SessionLineProps {
  readonly session: SessionRecord
  readonly onChanged: () => void
}

function SessionLine({ session, onChanged }: SessionLineProps) {
  const { t, formatDateTime } = useLanguage()
  const { sotto } = useSession()
  const signOut = useSignOut()
  const ending = useTask()
  const task = session.current ? signOut.task : ending
  const end = async (): Promise<void> => {
    await sotto.api.endSession({ sessionId: session.sessionId })
    onChanged()
  }
  return (
    <div className="session-line">
      <span>
        {session.current ? t('sessions.this') : t('sessions.other')}{' '}
        <span className="hint">{t('sessions.since', { date: formatDateTime(session.createdAt) })}</span>
      </span>
      <button
        type="button"
        className="button button-small"
        disabled={task.isRunning}
        onClick={session.current ? signOut.start : () => void ending.run(end)}
      >
        {session.current ? t('action.signOut') : t('sessions.end')}
      </button>
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      {signOut.dialog}
    </div>
  )
}
