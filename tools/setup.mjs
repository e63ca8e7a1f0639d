// Makes a fresh clone usable: every npm script runs this first. Packages and the pinned Node; then the page, unless told
// `--packages`; then what the tests need, when told `--test`. It must run under the system's Node (18 or newer), because
// the Node that Sotto runs on arrives with the packages. Therefore: plain JavaScript, no dependencies, nothing newer than
// Node 18, and every program it starts is named by its path and never looked up as `node`.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MIN = [24, 9]

/** What the tests start that is no npm package. `found` answers from the disk alone, so that a second run costs nothing. */
const TEST_NEEDS = [
  { what: 'Chromium', debian: 'chromium', found: () => onPath('chromium') || onPath('chromium-browser') },
  {
    what: 'PostgreSQL 15 or newer',
    debian: 'postgresql-15',
    found: () => existsSync(postgresFolder()) || onPath('postgres'),
  },
]

const root = resolve(fileURLToPath(new URL('..', import.meta.url)))
const at = (...path) => join(root, ...path)
const recordFile = at('node_modules', '.sotto-setup')

main(process.argv.slice(2))

function main(args) {
  installPackages()
  const node = checkNode()
  if (args.includes('--packages')) return
  buildChat(node)
  if (args.includes('--test')) installTestNeeds()
}

// ---- packages ----

/**
 * Without install scripts: no package of the lockfile needs its own (`install scripts` in tools/tidy keeps watch), and npm
 * older than 11 would run them. It stands here and not in .npmrc, where it would switch off the `pre` scripts as well.
 */
function installPackages() {
  const lockText = readFileSync(at('package-lock.json'))
  const lockHash = sha256(lockText)
  if (readRecord().lock === lockHash) return
  if (!installedMatches(JSON.parse(lockText.toString('utf8')))) {
    say('installing npm packages (npm ci)')
    run(
      npmCommand(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']),
      'npm ci failed: the packages are not installed',
    )
  }
  writeRecord({ lock: lockHash })
}

/** npm writes what it has installed to a hidden lockfile, last of all: when that agrees, there is nothing to do. */
function installedMatches(lock) {
  const hidden = at('node_modules', '.package-lock.json')
  if (!existsSync(hidden)) return false
  const installed = JSON.parse(readFileSync(hidden, 'utf8')).packages
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (!path.startsWith('node_modules/')) return true
    const found = installed[path]
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true || wanted.peer === true
    return wanted.link === true ? found.link === true : found.version === wanted.version
  })
}

/**
 * The npm that called us, run by a Node that does not live in node_modules: `npm ci` deletes that folder first.
 */
function npmCommand(args) {
  const cli = process.env.npm_execpath
  const outside = (process.env.PATH || '').split(delimiter).filter((folder) => !inNodeModules(folder))
  const env = { ...process.env, PATH: outside.join(delimiter) }
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const node = [process.execPath, ...outside.map((folder) => join(folder, name))].find(
    (path) => !inNodeModules(path) && existsSync(path),
  )
  if (cli && node && existsSync(cli)) return { file: node, args: [cli, ...args], env }
  return { file: 'npm', args, env, shell: process.platform === 'win32' }
}

function inNodeModules(path) {
  return path.split(sep).includes('node_modules')
}

// ---- the pinned Node ----

/** @returns the path of the Node that everything else is run with */
function checkNode() {
  const packaged = packagedNode()
  const node = packaged || process.execPath
  const version = packaged ? output(packaged, ['--version']) : process.version
  if (atLeast(version, NODE_MIN)) return node
  fail(
    `Sotto needs Node ${NODE_MIN.join('.')} or newer, and this is ${version || 'not runnable'} (${node}).`,
    'On Linux with glibc (x64, arm64) and on Windows (x64) the packages bring it along; if it is missing there,',
    'install with optional packages (npm ci --include=optional) and start again.',
    `On other systems (macOS, Alpine, Windows on arm64) install Node ${NODE_MIN[0]} LTS yourself, from nodejs.org or your`,
    'package manager, make sure that `node --version` shows it, and start again.',
  )
}

function packagedNode() {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const binary = at('node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(binary) && output(binary, ['--version']) !== '' ? binary : undefined
}

function atLeast(version, minimum) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1])
}

// ---- the chat page ----

function buildChat(node) {
  if (!existsSync(at('apps', 'chat', 'vite.config.ts'))) return
  const hash = chatSourcesHash()
  const built = existsSync(at('apps', 'chat', 'dist', 'index.html'))
  if (built && readRecord().chat === hash) return
  say('building the chat page')
  const vite = at('node_modules', 'vite', 'bin', 'vite.js')
  const args = [vite, 'build', 'apps/chat', '--logLevel', 'warn', '--emptyOutDir']
  run({ file: node, args }, 'the chat page could not be built')
  writeRecord({ chat: hash })
}

/** Everything that goes into the page: its own files, the packages that it bundles, and the versions of the rest. */
function chatSourcesHash() {
  const hash = createHash('sha256')
  const folders = ['apps/chat', 'packages/sdk', 'packages/react', 'packages/protocol']
  for (const file of [...folders.flatMap((folder) => listFiles(at(...folder.split('/')))), at('package-lock.json')]) {
    hash.update(relative(root, file)).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

function listFiles(folder) {
  if (!existsSync(folder)) return []
  const skipped = ['node_modules', 'dist', 'test']
  return readdirSync(folder, { withFileTypes: true })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) return skipped.includes(entry.name) ? [] : listFiles(path)
      return /\.test\.tsx?$/.test(entry.name) || !entry.isFile() ? [] : [path]
    })
}

// ---- what tests need from the system ----

function installTestNeeds() {
  const missing = TEST_NEEDS.filter((need) => !need.found())
  if (missing.length === 0) return
  const packages = missing.map((need) => need.debian)
  const apt = aptCommand()
  if (apt) {
    say(`installing Debian packages for the tests: ${packages.join(' ')}`)
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    spawnSync(apt[0], [...apt.slice(1), 'update', '-qq'], { stdio: 'inherit', env })
    const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages]
    spawnSync(apt[0], [...apt.slice(1), ...install], { stdio: ['ignore', 'ignore', 'inherit'], env })
  }
  const still = TEST_NEEDS.filter((need) => !need.found())
  if (still.length === 0) return
  const lines = still.map((need) => `  ${need.what} (Debian package: ${need.debian})`)
  const title = 'The tests need programs that are not installed here:'
  if (process.env.CI === 'true') fail(title, ...lines)
  warn(title, ...lines, 'Tests that use them will fail until you install them.')
}

/** apt-get as root, or through a sudo that asks nothing; undefined where neither is to be had. */
function aptCommand() {
  if (!onPath('apt-get')) return undefined
  if (process.getuid && process.getuid() === 0) return ['apt-get']
  const asks = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0
  return asks ? undefined : ['sudo', '-n', '--preserve-env=DEBIAN_FRONTEND', 'apt-get']
}

function onPath(name) {
  return (process.env.PATH || '').split(delimiter).some((folder) => existsSync(join(folder, name)))
}

/** Debian keeps servers beside PATH, one folder per major version. */
function postgresFolder() {
  const base = '/usr/lib/postgresql'
  const versions = existsSync(base) ? readdirSync(base).map(Number) : []
  const newest = Math.max(0, ...versions.filter((version) => version >= 15))
  return join(base, String(newest), 'bin', 'postgres')
}

// ---- small things ----

function run(command, complaint) {
  const { file, args, env, shell } = command
  const done = spawnSync(file, args, { cwd: root, stdio: 'inherit', env: env || process.env, shell: shell || false })
  if (done.status !== 0) fail(complaint, done.error ? String(done.error.message) : `exit code ${done.status}`)
}

function output(file, args) {
  const done = spawnSync(file, args, { encoding: 'utf8' })
  return done.status === 0 ? done.stdout.trim() : ''
}

function readRecord() {
  try {
    return JSON.parse(readFileSync(recordFile, 'utf8'))
  } catch {
    return {}
  }
}

function writeRecord(change) {
  writeFileSync(recordFile, JSON.stringify({ ...readRecord(), ...change }) + '\n')
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function say(line) {
  process.stdout.write(`setup: ${line}\n`)
}

function warn(...lines) {
  process.stderr.write(lines.map((line) => `setup: ${line}\n`).join(''))
}

function fail(...lines) {
  warn(...lines)
  process.exit(1)
}
