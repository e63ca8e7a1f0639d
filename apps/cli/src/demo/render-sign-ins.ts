import type { Demo } from './demo-files.ts'

/** The demo's sign-ins as a table for the terminal. */
export function renderSignIns(demo: Demo, url: string): string {
  const rows = demo.people.map(({ login, name, role }) => `  ${login.padEnd(18)}${name.padEnd(22)}${role}`)
  return [
    '',
    `Demo clinic "${demo.tenant}": synthetic people. Sign in at ${url} with any of these and the password`,
    `  ${demo.password}`,
    '',
    ...rows,
  ].join('\n')
}
