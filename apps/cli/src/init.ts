import { loadConfig, migratePostgres, withComposition } from '@sotto/server'

interface InitOptions {
  readonly tenant: string
  readonly name: string
  readonly adminLogin: string
  readonly adminName: string
}

/** A production set-up without the demo: keyring, schema, tenant, and an administrator who sets a password by a link. */
export async function init(options: InitOptions): Promise<void> {
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
    process.stdout.write(
      [
        `Tenant ${options.tenant} is ready. Keyring: ${config.keyringDir} (back it up apart from the data: without it nothing can be read).`,
        `${options.adminLogin} sets a password, once, until ${new Date(created.signInLink.expiresAt).toISOString()}, at:`,
        `  ${config.publicUrl}/#/sign-in-link/${created.signInLink.token.reveal()}`,
        '',
      ].join('\n'),
    )
  })
}
