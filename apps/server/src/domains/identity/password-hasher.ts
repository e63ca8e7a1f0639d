import { argon2, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { constantTimeEqual, hmacSha256 } from '../../platform/crypto/primitives.ts'
import type { Random } from '../../platform/ids/ids.ts'
import type { Secret } from '../../platform/phi/phi.ts'
import { problem } from '../../platform/problem/problem.ts'
import { normalizePassword } from './password.model.ts'

/**
 * Passwords at rest: argon2id (RFC 9106) over a keyed hash. The key is the keyring's, so a copy of the database alone gives
 * a guesser nothing to try against (NIST SP 800-63B-4 §3.1.1.2). Each hash names its parameters in the PHC string format,
 * so they can be raised: at the next sign-in the hash is made anew.
 */
export interface PasswordHasher {
  /**
   * A place in the queue, to be had before an attempt is counted: one that nobody will look at does not count. Those who
   * have proved something (a device, a session, a link) have places of their own and go first, so that a flood of others
   * keeps nobody from care.
   *
   * @throws platform/unavailable 503 when too many wait
   */
  reserve(by: Standing): Place
  /**
   * For those who have proved who they are: by a password, or by a link.
   * @returns a PHC string @throws platform/unavailable 503 when too many wait
   */
  hash(password: Secret<string>): Promise<string>
  /** @param encoded  undefined for a user who does not exist or has no password: it takes the same time and says no */
  verify(password: Secret<string>, encoded: string | undefined, place: Place): Promise<boolean>
  /** Was it made with other parameters than those of today? */
  isOutdated(encoded: string): boolean
}

export interface Argon2Parameters {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

/** OWASP's minimum for argon2id: some 30 ms of one core. */
export const argon2Defaults: Argon2Parameters = { memoryKiB: 19_456, passes: 2, lanes: 1 }

const SALT_BYTES = 16
const HASH_BYTES = 32
/** Hashes at once: more would take the cores from those who are signed in. */
const RUNNING_MAX = 2
/** Waiting for more than some seconds helps nobody. Of each standing. */
const WAITING_MAX = 100

export function createPasswordHasher(deps: {
  readonly random: Random
  /** `keyring.derive('identity/password')` */
  readonly pepper: KeyObject
  readonly parameters?: Argon2Parameters
}): PasswordHasher {
  const parameters = deps.parameters ?? argon2Defaults
  const reserve = createTurns(RUNNING_MAX, WAITING_MAX)
  const digest = (place: Place, password: Secret<string>, salt: Uint8Array, how: Argon2Parameters) => {
    const message = hmacSha256(deps.pepper, Buffer.from(normalizePassword(password.reveal()), 'utf8'))
    return place.run(() => deriveHash(message, salt, how))
  }
  const nobody = encodePhc({ ...parameters, salt: deps.random.bytes(SALT_BYTES), hash: deps.random.bytes(HASH_BYTES) })
  return {
    reserve,
    async hash(password) {
      using place = reserve('proven')
      const salt = deps.random.bytes(SALT_BYTES)
      return encodePhc({ ...parameters, salt, hash: await digest(place, password, salt, parameters) })
    },
    async verify(password, encoded, place) {
      const known = parsePhc(encoded ?? nobody)
      const isSame = constantTimeEqual(await digest(place, password, known.salt, known), known.hash)
      return isSame && encoded !== undefined
    },
    isOutdated(encoded) {
      const { memoryKiB, passes, lanes } = parsePhc(encoded)
      return memoryKiB !== parameters.memoryKiB || passes !== parameters.passes || lanes !== parameters.lanes
    },
  }
}

const argon2Async = promisify(argon2)

function deriveHash(message: Uint8Array, salt: Uint8Array, how: Argon2Parameters): Promise<Uint8Array> {
  return argon2Async('argon2id', {
    message,
    nonce: salt,
    memory: how.memoryKiB,
    passes: how.passes,
    parallelism: how.lanes,
    tagLength: HASH_BYTES,
  })
}

interface Phc extends Argon2Parameters {
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

/** https://github.com/P-H-C/phc-string-format: base64 without padding. */
export function encodePhc({ memoryKiB, passes, lanes, salt, hash }: Phc): string {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${base64(salt)}$${base64(hash)}`
}

const phcForm =
  /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$/

export function parsePhc(encoded: string): Phc {
  const [, memory, passes, lanes, salt, hash] = phcForm.exec(encoded) ?? []
  if (memory === undefined) throw new Error('A stored password hash is not in the form that this version reads')
  return {
    memoryKiB: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Buffer.from(salt!, 'base64'),
    hash: Buffer.from(hash!, 'base64'),
  }
}

export type Standing = 'proven' | 'unknown'

/** Who has one will be served. It is given back when it is disposed of, used or not. */
export interface Place extends Disposable {
  run<T>(work: () => Promise<T>): Promise<T>
}

/** Runs at most so many at once, the others in the order of their coming, those who have proved something first. */
export function createTurns(runningMax: number, waitingMax: number) {
  const waiting: Readonly<Record<Standing, (() => void)[]>> = { proven: [], unknown: [] }
  const places: Record<Standing, number> = { proven: 0, unknown: 0 }
  let running = 0

  async function run<T>(by: Standing, work: () => Promise<T>): Promise<T> {
    // Whoever ends hands its turn over, so `running` stays as it is.
    if (running >= runningMax) await new Promise<void>((resolve) => waiting[by].push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.proven.shift() ?? waiting.unknown.shift()
      if (next === undefined) running--
      else next()
    }
  }

  return function reserve(by: Standing): Place {
    if (places[by] >= runningMax + waitingMax)
      throw problem('platform/unavailable', { trueReason: 'password-hashing-busy' })
    places[by]++
    let isTaken = true
    return {
      run: (work) => run(by, work),
      [Symbol.dispose]() {
        if (isTaken) places[by]--
        isTaken = false
      },
    }
  }
}
