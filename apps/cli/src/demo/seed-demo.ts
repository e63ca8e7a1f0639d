import type { Composition } from '@sotto/server'
import { CommandRefused } from '../explain.ts'
import { DEMO_ADMINISTRATOR, DEMO_PASSWORD, DEMO_TEAMS, DEMO_TENANT, demoConversations, demoPeople } from './clinic.ts'
import { isBeingMade, markMaking, readDemo, writeDemo, type Demo } from './demo-files.ts'
import { createPeople, enter, hold, redeem, signIn, type Ctx } from './make-clinic.ts'

export interface SeedOptions {
  readonly dataDir: string
  onProgress(step: string): void
}

/**
 * Makes the demo clinic, once for each deployment: through the same operations as everybody, so that its history has its
 * audit trail. A clinic whose making was interrupted, at any point, is completed.
 *
 * @throws CommandRefused when a tenant of its name belongs to somebody else
 */
export async function seedDemo(composition: Composition, { dataDir, onProgress }: SeedOptions): Promise<Demo> {
  const { deploymentId, identity } = composition
  const known = await readDemo(dataDir, deploymentId)
  if (known !== undefined) return known
  const demo: Demo = {
    deploymentId,
    tenant: DEMO_TENANT.slug,
    password: DEMO_PASSWORD,
    people: [DEMO_ADMINISTRATOR, ...demoPeople].map(({ login, name, role }) => ({ login, name, role })),
  }
  const isThere = (await identity.findTenantId(DEMO_TENANT.slug)) !== undefined
  if (isThere && !(await isBeingMade(dataDir, deploymentId))) {
    await assertDemo(composition)
  } else {
    onProgress('Making the demo clinic (synthetic people only) …')
    await markMaking(dataDir, deploymentId)
    await makeClinic(composition, isThere, onProgress)
  }
  await writeDemo(dataDir, demo)
  return demo
}

/** It was made from another data folder, or by a deployment that has become another one. */
async function assertDemo(composition: Composition): Promise<void> {
  const admin = await signIn(composition, DEMO_ADMINISTRATOR.login).catch((cause: unknown) => {
    throw new CommandRefused(
      `There is a tenant ${DEMO_TENANT.slug} whose administrator is not the demo's, so it is left alone. The demo clinic wants a database without it.`,
      { cause },
    )
  })
  await leave(composition, [admin])
}

async function makeClinic(
  composition: Composition,
  isResumed: boolean,
  onProgress: SeedOptions['onProgress'],
): Promise<void> {
  const admin = isResumed ? await enterAgain(composition) : await createTenant(composition)
  const people = await createPeople(composition, admin, isResumed)
  onProgress(`${people.size + 1} people in ${DEMO_TEAMS.length} teams`)
  for (const conversation of demoConversations) await hold(composition, people, conversation, isResumed)
  onProgress(`${demoConversations.length} conversations with some history`)
  await leave(composition, [admin, ...people.values()])
}

async function createTenant(composition: Composition): Promise<Ctx> {
  const { login, name } = DEMO_ADMINISTRATOR
  const created = await composition.identity.createTenant(enter, {
    slug: DEMO_TENANT.slug,
    name: DEMO_TENANT.name,
    administrator: { login, displayName: name },
  })
  return redeem(composition, created.signInLink.token.reveal())
}

/** Whether the administrator's first link was used before the interruption does not matter: there is a new one. */
async function enterAgain(composition: Composition): Promise<Ctx> {
  const renewal = await composition.identity.renewAdministratorLink(enter, {
    slug: DEMO_TENANT.slug,
    login: DEMO_ADMINISTRATOR.login,
  })
  if ('refusal' in renewal)
    throw new CommandRefused(
      `There is a tenant ${DEMO_TENANT.slug} that is not the demo clinic (${renewal.refusal}), so it is left alone.`,
    )
  return redeem(composition, renewal.signInLink.token.reveal())
}

async function leave({ operations }: Composition, people: readonly Ctx[]): Promise<void> {
  for (const ctx of people) await operations.endSession(ctx, { sessionId: ctx.sessionId })
}
