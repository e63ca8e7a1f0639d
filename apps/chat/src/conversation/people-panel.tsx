import type { Conversation, ConversationSnapshot, ConversationSummary, Member } from '@sotto/sdk'
import { useEffect, useMemo, useState } from 'react'
import { useLanguage } from '../i18n/language.tsx'
import { navigate } from '../platform/navigation.ts'
import { problemText } from '../session/problem-text.ts'
import { useSession } from '../session/session-context.tsx'
import { Avatar, PresenceDot } from '../ui/avatar.tsx'
import { ConfirmDialog } from '../ui/confirm-dialog.tsx'
import { CloseIcon } from '../ui/icons.tsx'
import { ErrorNotice } from '../ui/notice.tsx'
import { PageHeading } from '../ui/page-heading.tsx'
import { useTask } from '../ui/use-task.ts'
import { AddPeople } from './add-people.tsx'
import { ConversationActions } from './conversation-actions.tsx'

export interface PeoplePanelProps {
  readonly conversation: Conversation
  readonly summary: ConversationSummary
  readonly snapshot: ConversationSnapshot
}

/** Who is in the conversation and as what; who may, changes it. */
export function PeoplePanel({ conversation, summary, snapshot }: PeoplePanelProps) {
  const { t } = useLanguage()
  const { sotto } = useSession()
  const { members, can } = snapshot
  const { conversationId } = conversation
  const userIds = useMemo(() => (members ?? []).map(({ userId }) => userId), [members])
  useEffect(() => sotto.presence.watch(userIds), [sotto, userIds])
  return (
    <section className="pane people-pane" aria-label={t('people.title')}>
      <div className="people-head">
        <PageHeading>{t('people.title')}</PageHeading>
        <button
          type="button"
          className="button button-icon"
          onClick={() => navigate({ page: 'conversation', conversationId, people: false })}
        >
          <CloseIcon />
          <span className="visually-hidden">{t('people.close')}</span>
        </button>
      </div>
      {members === null ? (
        <output>{t('people.loading')}</output>
      ) : (
        <ul className="people">
          {members.map((member) => (
            <MemberRow
              key={member.userId}
              member={member}
              conversation={conversation}
              mayRemove={can.includes('member.remove')}
            />
          ))}
        </ul>
      )}
      {can.includes('member.add') ? <AddPeople conversationId={conversationId} members={members ?? []} /> : null}
      <ConversationActions summary={summary} can={can} />
    </section>
  )
}

interface MemberRowProps {
  readonly member: Member
  readonly conversation: Conversation
  readonly mayRemove: boolean
}

function MemberRow({ member, conversation, mayRemove }: MemberRowProps) {
  const { t } = useLanguage()
  const { session, sotto } = useSession()
  const [isAsking, setAsking] = useState(false)
  const task = useTask()
  const { userId, displayName, role, memberRole } = member
  const isMe = userId === session.userId

  function remove(): void {
    setAsking(false)
    void task.run(async () => {
      await sotto.api.removeMember({ conversationId: conversation.conversationId, userId })
      await conversation.members()
    })
  }

  return (
    <li className="person">
      <span className="row-avatar">
        <Avatar id={userId} name={displayName} />
        {isMe ? null : <PresenceDot userId={userId} />}
      </span>
      <span className="person-name">
        <bdi className="clip">{displayName}</bdi>
        <span className="hint">
          {t(`role.${role}`)}
          {memberRole === 'manager' ? ` · ${t('people.manager')}` : ''}
          {isMe ? ` · ${t('person.you')}` : ''}
        </span>
      </span>
      {mayRemove && !isMe ? (
        <button type="button" className="button button-small" disabled={task.isRunning} onClick={() => setAsking(true)}>
          {t('people.remove')}
          <span className="visually-hidden"> {displayName}</span>
        </button>
      ) : null}
      <ErrorNotice text={task.error === null ? null : problemText(t, task.error)} />
      {isAsking ? (
        <ConfirmDialog
          title={t('people.removeTitle', { name: displayName })}
          confirm={t('people.remove')}
          onConfirm={remove}
          onCancel={() => setAsking(false)}
        >
          <p>{t('people.removeText')}</p>
        </ConfirmDialog>
      ) : null}
    </li>
  )
}
