import type { Role } from '@sotto/protocol'

/** The demo clinic: every person and every word in it is made up. */
export interface DemoPerson {
  readonly login: string
  readonly name: string
  readonly role: Role
  readonly team?: 'Cardiology' | 'Primary Care'
}

export const DEMO_TENANT = { slug: 'demo', name: 'Riverbend Demo Clinic' }
export const DEMO_PASSWORD = 'copper kettle harbor 42'
export const DEMO_TEAMS = ['Cardiology', 'Primary Care'] as const
export const DEMO_ADMINISTRATOR: DemoPerson = { login: 'ada.admin', name: 'Ada Quill', role: 'administrator' }

export const demoPeople: readonly DemoPerson[] = [
  { login: 'cora.compliance', name: 'Cora Ledger', role: 'compliance-officer' },
  { login: 'alice.nurse', name: 'Alice Marsh, RN', role: 'clinician', team: 'Cardiology' },
  { login: 'omar.cardio', name: 'Dr. Omar Haddad', role: 'clinician', team: 'Cardiology' },
  { login: 'yuki.cardio', name: 'Dr. Yuki Tanabe', role: 'clinician', team: 'Cardiology' },
  { login: 'grace.primary', name: 'Dr. Grace Oyelaran', role: 'clinician', team: 'Primary Care' },
  { login: 'noor.primary', name: 'Noor Siddiqui, NP', role: 'clinician', team: 'Primary Care' },
  { login: 'liam.primary', name: 'Liam Byrne, RN', role: 'clinician', team: 'Primary Care' },
  { login: 'bob.patient', name: 'Bob Fielding', role: 'patient' },
  { login: 'carmen.patient', name: 'Carmen Vidal', role: 'patient' },
  { login: 'dev.patient', name: 'Dev Ramaswamy', role: 'patient' },
  { login: 'elsa.patient', name: 'Elsa Lindqvist', role: 'patient' },
  { login: 'felix.patient', name: 'Felix Adeyemi', role: 'patient' },
  { login: 'hana.patient', name: 'Hana Kobayashi', role: 'patient' },
  { login: 'ivan.patient', name: 'Ivan Petrov', role: 'patient' },
  { login: 'june.patient', name: 'June Whitaker', role: 'patient' },
]

export interface DemoConversation {
  readonly kind: 'direct' | 'group'
  readonly title: string | null
  /** The first one makes it. */
  readonly members: readonly string[]
  readonly about?: string
  readonly says: readonly (readonly [login: string, text: string])[]
}

export const demoConversations: readonly DemoConversation[] = [
  {
    kind: 'direct',
    title: null,
    members: ['alice.nurse', 'bob.patient'],
    about: 'bob.patient',
    says: [
      ['alice.nurse', 'Hello Bob, this is Alice from the heart clinic. How did you sleep after the new tablets?'],
      ['bob.patient', 'Better, thank you. I woke up once, but I was not short of breath.'],
      ['alice.nurse', 'That is good to hear. Please weigh yourself each morning and send me the number.'],
      ['bob.patient', '82.4 kg today.'],
    ],
  },
  {
    kind: 'group',
    title: 'Carmen: blood pressure plan',
    members: ['grace.primary', 'noor.primary', 'carmen.patient'],
    about: 'carmen.patient',
    says: [
      ['grace.primary', 'Carmen, Noor and I look after your blood pressure together from now on.'],
      ['carmen.patient', 'Thank you. My home monitor showed 148 over 92 this morning.'],
      ['noor.primary', 'Noted. Please measure again this evening, sitting, after five quiet minutes.'],
    ],
  },
  {
    kind: 'group',
    title: 'Cardiology team',
    members: ['omar.cardio', 'yuki.cardio', 'alice.nurse'],
    says: [
      ['omar.cardio', 'Morning. Two echo slots opened up at 11:00 and 11:30.'],
      ['alice.nurse', 'I will offer the first to a patient of mine.'],
      ['yuki.cardio', 'I can read both before noon.'],
    ],
  },
  {
    kind: 'group',
    title: 'Dev: after the hospital stay',
    members: ['omar.cardio', 'liam.primary', 'dev.patient'],
    about: 'dev.patient',
    says: [
      ['liam.primary', 'Welcome home, Dev. Do you have all the medicines on the list?'],
      ['dev.patient', 'All but one, the pharmacy has it tomorrow.'],
    ],
  },
]
