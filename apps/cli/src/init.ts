import { loginSchema, nameSchema, tenantSlugSchema } from '@sotto/protocol'
import { loadConfig, migratePostgres, withComposition } from '@sotto/server'
import { addressToPrint } from './address-to-print.ts'
import { CommandRefused } from './explain.ts'

export interface InitOptions {
  readonly tenant: string
  readonly name: string
  readonly adminLogin: string
  readonly adminName: string
}

/**
 * A production set-up without the demo: keyring, schema, tenant, and an administrator who sets a password by a link. Run
 * again with another short name it adds a tenant.
 *
 * @throws CommandRefused, before anything is made, when an option cannot be used
 */
export async function init(options: InitOptions): Promise<void> {
  checkInit(options)
  const config = loadConfig()
  if (config.database.kind === 'postgres') {
    for (const name of await migratePostgres(config, { isDryRun: false, mayCreateKeyring: true }))
      process.stdout.write(`Applied ${name}\n`)
  }
  await withComposition(config, { mayCreateKeyring: true }, async ({ identity, ids }) => {
    const created = await identity.createTenant(
      { requestId: ids.next<string>(), address: null },
      {
        slug: options.tenant,
        name: options.name,
        administrator: { login: options.adminLogin, displayName: options.adminName },
      },
    )
    const { url, note } = addressToPrint(config)
    process.stdout.write(
      [
        `Tenant ${options.tenant} is ready.`,
        `Keyring: ${config.keyringDir}`,
        '  Back it up apart from the data: without it nothing can be read.',
        `${options.adminLogin} sets a password, once, until ${new Date(created.signInLink.expiresAt).toISOString()}, at:`,
        `  ${url}/#/sign-in-link/${created.signInLink.token.reveal()}`,
        ...(note === '' ? [] : [note]),
        '',
      ].join('\n'),
    )
  })
}

/** Every option that cannot be used, told at once. */
export function checkInit(options: InitOptions): void {
  const checks = [
    ['--tenant', tenantSlugSchema, options.tenant],
    ['--name', nameSchema, options.name],
    ['--admin-login', loginSchema, options.adminLogin],
    ['--admin-name', nameSchema, options.adminName],
  ] as const
  const problems = checks.flatMap(([option, schema, value]) => {
    const result = schema.safeParse(value)
    return result.success ? [] : [`  - ${option}: ${result.error.issues[0]?.message ?? 'cannot be used'}`]
  })
  if (problems.length > 0) throw new CommandRefused(`These options cannot be used:\n${problems.join('\n')}`)
}
