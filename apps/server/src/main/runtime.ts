/** Node's release that the server is built for: native argon2id, type stripping, fast key objects. */
const NODE_MINIMUM = [24, 7] as const

/** @throws Error that says what to do, before anything else is loaded */
export function assertRuntime(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor, wantedMinor] = NODE_MINIMUM
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return
  throw new Error(
    `Sotto needs Node ${wantedMajor}.${wantedMinor} or newer; this is ${version}. Run it by \`npm start\`, which brings its own, or install Node ${wantedMajor}.`,
  )
}
