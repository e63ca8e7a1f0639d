import { checkDeployment, loadConfig } from '@sotto/server'

/** Says what is good and what is wrong before a start does; exit code 1 when something is. */
export async function doctor(): Promise<void> {
  const findings = await checkDeployment(loadConfig())
  for (const { isGood, what, then } of findings)
    process.stdout.write(`${isGood ? 'ok   ' : 'WRONG'} ${what}${then === undefined ? '' : `\n      → ${then}`}\n`)
  if (findings.some((finding) => !finding.isGood)) process.exitCode = 1
}
