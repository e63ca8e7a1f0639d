import { Command } from 'commander'
import { VERSION } from '@sotto/server'
import { auditList } from './audit-list.ts'
import { doctor } from './doctor.ts'
import { init } from './init.ts'
import { migrate } from './migrate.ts'
import { seed } from './seed.ts'
import { serve } from './serve.ts'

/** The operator's commands. Settings come from the environment; `docs/reference/settings.md` lists them. */
export function createProgram(): Command {
  const program = new Command('sotto')
    .description('Chat for healthcare software: run it, set it up, look after it.')
    .version(VERSION)
    .showHelpAfterError('Run `sotto --help` for the commands.')
    .addHelpText(
      'after',
      `
Settings come from the environment, e.g. SOTTO_PORT, SOTTO_DATA_DIR, DATABASE_URL: see docs/reference/settings.md.

Exit codes: 0 done (\`serve\`: drained and stopped; \`doctor\`: nothing is wrong); 1 refused, failed or stopped at once, and
standard error says why (\`doctor\`: something is wrong, and standard output says what); 70 \`serve\` met a mistake of its own.`,
    )

  program
    .command('serve')
    .description('run the server until Ctrl-C')
    .option('--demo', 'first make a synthetic demo clinic, once; never on a deployment with real people')
    .action(serve)
  program
    .command('init')
    .description('make keyring, schema, the first tenant and its administrator, who gets a one-time link')
    .requiredOption('--tenant <slug>', 'what people type to say where they belong, e.g. north-clinic')
    .option('--name <name>', 'the tenant\'s name, e.g. "North Clinic"')
    .option('--admin-login <login>', 'how the first administrator signs in')
    .option('--admin-name <name>', "the first administrator's name")
    .option(
      '--renew-link',
      'instead, for a tenant that is there: a new one-time link for its administrator (with --admin-login, for that one); older ones end',
    )
    .action(init)
  program
    .command('migrate')
    .description('bring the schema of PostgreSQL up to this version (DATABASE_OWNER_URL)')
    .option('--dry-run', 'only say what would be applied')
    .action(migrate)
  program.command('seed').description('make the synthetic demo clinic, if it is not there').action(seed)
  program
    .command('doctor')
    .description('check settings, keyring, database and schema, and say what is wrong')
    .action(doctor)
  const audit = program.command('audit').description('the audit trail')
  audit
    .command('list')
    .description('list audit events, newest first; the look is itself recorded')
    .option('--tenant <slug>', 'whose events; without it, those of the deployment itself')
    .option('--action <action>', 'e.g. message.send')
    .option('--outcome <outcome>', 'success, refused or failed')
    .option('--limit <n>', 'how many', '50')
    .option('--json', 'one JSON object a line')
    .action(auditList)
  return program
}
