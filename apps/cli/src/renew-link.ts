import { loadConfig, withComposition, type RenewalRefusal } from '@sotto/server'
import { addressToPrint } from './address-to-print.ts'
import { CommandRefused } from './explain.ts'

export interface RenewLinkOptions {
  readonly tenant: string
  readonly adminLogin?: string | undefined
}

/**
 * A new one-time link for an administrator of a tenant that is there; the older links of that administrator end.
 *
 * @throws CommandRefused when there is no such tenant, or nobody there who is to get one
 */
export async function renewLink({ tenant, adminLogin }: RenewLinkOptions): Promise<void> {
  const config = loadConfig()
  await withComposition(config, { mayCreateKeyring: false }, async ({ identity, ids }) => {
    const origin = { requestId: ids.next<string>(), address: null }
    const renewed = await identity.renewAdministratorLink(origin, { slug: tenant, login: adminLogin })
    if ('refusal' in renewed) throw new CommandRefused(refusals[renewed.refusal](tenant, adminLogin ?? ''))
    const { token, expiresAt } = renewed.signInLink
    const { url, note } = addressToPrint(config)
    const who = adminLogin ?? `The administrator of ${tenant}`
    process.stdout.write(
      [
        'Older links of this administrator no longer work.',
        `${who} sets a password, once, until ${new Date(expiresAt).toISOString()}, at:`,
        `  ${url}/#/sign-in-link/${token.reveal()}`,
        ...(note === '' ? [] : [note]),
        '',
      ].join('\n'),
    )
  })
}

const refusals: Readonly<Record<RenewalRefusal, (tenant: string, login: string) => string>> = {
  'unknown-tenant': (tenant) => `There is no tenant ${tenant}.`,
  'unknown-login': (tenant, login) => `Nobody at ${tenant} signs in as ${login}.`,
  'not-an-administrator': (tenant, login) =>
    `${login} is no administrator of ${tenant}. Administrators make links for everybody else.`,
  'user-inactive': (tenant, login) => `${login} is deactivated. Another administrator of ${tenant} can change that.`,
  'several-administrators': (tenant) => `${tenant} has several administrators: say which one with --admin-login.`,
}
