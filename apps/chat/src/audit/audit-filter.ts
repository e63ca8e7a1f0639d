import type { Api } from '@sotto/sdk'

/** What the officer searches for, as the form holds it: empty texts stand for "any". */
export interface AuditFilter {
  readonly actorUserId: string
  readonly subjectUserId: string
  readonly action: string
  readonly outcome: string
  /** Calendar days on this device, both included. */
  readonly fromOn: string
  readonly toOn: string
  readonly resourceId: string
}

export const anyEvent: AuditFilter = {
  actorUserId: '',
  subjectUserId: '',
  action: '',
  outcome: '',
  fromOn: '',
  toOn: '',
  resourceId: '',
}

export type AuditQuery = NonNullable<Parameters<Api['listAuditEvents']>[0]>

/** The request for a filter; `after` says where the page begins. */
export function toQuery(filter: AuditFilter, after: string | undefined): AuditQuery {
  const { fromOn, toOn, ...rest } = filter
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== ''))
  return {
    ...given,
    ...(fromOn === '' ? {} : { from: startOf(fromOn, 0) }),
    ...(toOn === '' ? {} : { to: startOf(toOn, 1) }),
    ...(after === undefined ? {} : { after }),
  }
}

/** Midnight of a calendar day in the zone of the device, some days later. */
function startOf(day: string, daysLater: number): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(year, month - 1, date + daysLater).toISOString()
}
