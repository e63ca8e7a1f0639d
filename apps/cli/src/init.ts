import { loginSchema, nameSchema, tenantSlugSchema } from '@sotto/protocol'
import { loadConfig, migratePostgres, withComposition } from '@sotto/server'
import { addressToPrint } from './address-to-print.ts'
import { CommandRefused } from './explain.ts'
import { renewLink } from './renew-link.ts'

export interface InitOptions {
  readonly tenant: string
  readonly name?: string
  readonly adminLogin?: string
  readonly adminName?: string
  /** In place of a new tenant: a new link for an administrator of one that is there. */
  readonly renewLink?: boolean
}

type NewTenant = Required<Omit<InitOptions, 'renewLink'>>

/**
 * A production set-up without the demo: keyring, schema, tenant, and an administrator who sets a password by a link. Run
 * again with another short name it adds a tenant.
 *
 * @throws CommandRefused, before anything is made, when an option cannot be used or the tenant is there
 */
export async function init(options: InitOptions): Promise<void> {
  if (options.renewLink) {
    checkRenewal(options)
    return renewLink(options)
  }
  checkInit(options)
  const config = loadConfig()
  if (config.database.kind === 'postgres') {
    for (const name of await migratePostgres(config, { isDryRun: false, mayCreateKeyring: true }))
      process.stdout.write(`Applied ${name}\n`)
  }
  await withComposition(config, { mayCreateKeyring: true }, async ({ identity, ids }) => {
    const created = await identity
      .createTenant(
        { requestId: ids.next<string>(), address: null },
        {
          slug: options.tenant,
          name: options.name,
          administrator: { login: options.adminLogin, displayName: options.adminName },
        },
      )
      .catch((error: unknown) => {
        throw (error as { readonly code?: unknown }).code === 'identity/slug-taken' ? taken(options.tenant) : error
      })
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

function taken(tenant: string): CommandRefused {
  return new CommandRefused(
    [
      `Another tenant has this short name: ${tenant} is there, and nothing was changed.`,
      'If the link of its administrator was lost, make a new one:',
      `  sotto init --renew-link --tenant ${tenant}`,
    ].join('\n'),
  )
}

/** Every option that cannot be used, told at once. */
function checkInit(options: InitOptions): asserts options is NewTenant {
  refuseUnusable([
    ['--tenant', tenantSlugSchema, options.tenant],
    ['--name', nameSchema, options.name],
    ['--admin-login', loginSchema, options.adminLogin],
    ['--admin-name', nameSchema, options.adminName],
  ])
}

function checkRenewal({ tenant, adminLogin, name, adminName }: InitOptions): void {
  if (name !== undefined || adminName !== undefined)
    throw new CommandRefused('--renew-link takes --tenant and --admin-login only: it changes no name.')
  refuseUnusable([
    ['--tenant', tenantSlugSchema, tenant],
    ['--admin-login', loginSchema.optional(), adminLogin],
  ])
}

interface Schema {
  safeParse(value: unknown): {
    readonly success: boolean
    readonly error?: { readonly issues: readonly { readonly message: string }[] }
  }
}
type Check = readonly [option: string, schema: Schema, value: string | undefined]

function refuseUnusable(checks: readonly Check[]): void {
  const problems = checks.flatMap(([option, schema, value]) => {
    const result = schema.safeParse(value)
    if (result.success) return []
    const message = value === undefined ? 'is needed' : (result.error?.issues[0]?.message ?? 'cannot be used')
    return [`  - ${option}: ${message}`]
  })
  if (problems.length > 0) throw new CommandRefused(`These options cannot be used:\n${problems.join('\n')}`)
}
