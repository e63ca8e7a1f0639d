/**
 * What a program that a test starts inherits: where programs are, and where Node keeps what it has compiled (the same
 * files are loaded by dozens of processes). Nothing else of the test's own settings reaches it.
 */
export function childEnvironment(): Readonly<Record<string, string>> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? { PATH } : { PATH, NODE_COMPILE_CACHE }
}
