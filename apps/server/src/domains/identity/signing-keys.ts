import { createPrivateKey, createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { anonymous, SYSTEM_TENANT_ID, type Origin } from '../../platform/context/context.ts'
import type { Sealer } from '../../platform/crypto/seal.ts'
import type { Db } from '../../platform/db/tx.ts'
import type { Ids } from '../../platform/ids/ids.ts'
import type { Clock } from '../../platform/time/clock.ts'
import type { SigningKeys } from './claims.model.ts'
import type { IdentityDeps } from './identity.deps.ts'
import { insertSigningKey, listSigningKeys, retireSigningKeys, type StoredSigningKey } from './signing-key-store.ts'

interface SigningKeysDeps {
  readonly db: Db
  readonly clock: Clock
  readonly ids: Ids
  readonly sealer: Sealer
  readonly audit: Pick<IdentityDeps['audit'], 'record'>
  /** `keyring.derive('identity/token-signing')` */
  readonly sealingKey: KeyObject
}

interface LoadedKey {
  readonly keyId: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** How long a node may sign with a key that another node has retired, and accept what was signed with it. */
const FRESH_MS = 60_000
/** Tokens with a `kid` that nobody has must not make the database busy. */
const MISS_MS_MIN = 5_000

export interface RotatableSigningKeys extends SigningKeys {
  /**
   * Makes a new key. The others verify on for the life of an access token, or, after a theft, not for a moment: then every
   * client refreshes.
   * @effects token_signing_key, audit `key.rotate` of the system tenant
   * @param isStolen  the old keys must not be believed any more
   */
  rotate(origin: Origin, options?: { readonly isStolen?: boolean }): Promise<void>
  /** The public halves, for a JWKS (RFC 7517). */
  listPublicKeys(): Promise<readonly JsonWebKey[]>
}

/**
 * Keys are made by the deployment at its first signature, and kept in the database, sealed by the keyring. So one of them
 * can be replaced by itself, without a word to the keyring, and all nodes agree without talking to each other.
 */
export function createSigningKeys(deps: SigningKeysDeps): RotatableSigningKeys {
  let loaded: readonly LoadedKey[] = []
  let loadedAtMs = Number.NEGATIVE_INFINITY
  let missedAtMs = Number.NEGATIVE_INFINITY
  let loading: Promise<readonly LoadedKey[]> | undefined

  /** Newest first. */
  async function load(): Promise<readonly LoadedKey[]> {
    const rows = await deps.db.withTx(scope, async (tx) => {
      const stored = await listSigningKeys(tx, deps.clock.now())
      if (stored.length > 0) return stored
      await insertSigningKey(tx, makeKey(deps))
      return listSigningKeys(tx, deps.clock.now())
    })
    loaded = rows.map((row) => loaded.find((key) => key.keyId === row.key_id) ?? openKey(deps, row))
    loadedAtMs = deps.clock.monotonicMs()
    return loaded
  }

  function loadOnce(): Promise<readonly LoadedKey[]> {
    return (loading ??= load().finally(() => {
      loading = undefined
    }))
  }

  async function getKeys(): Promise<readonly LoadedKey[]> {
    return deps.clock.monotonicMs() - loadedAtMs < FRESH_MS ? loaded : loadOnce()
  }

  /** Another node may have made the key a moment ago. */
  async function lookAgain(): Promise<readonly LoadedKey[]> {
    if (deps.clock.monotonicMs() - missedAtMs < MISS_MS_MIN) return loaded
    missedAtMs = deps.clock.monotonicMs()
    return loadOnce()
  }

  return {
    async getSigningKey() {
      return (await getKeys())[0]!
    },
    async findVerifyingKey(keyId) {
      const find = (keys: readonly LoadedKey[]) => keys.find((key) => key.keyId === keyId)?.publicKey
      return find(await getKeys()) ?? find(await lookAgain())
    },
    async rotate(origin, { isStolen = false } = {}) {
      const key = makeKey(deps)
      await deps.db.withTx(scope, async (tx) => {
        const now = deps.clock.now()
        const retired = retireSigningKeys(tx, isStolen ? now : now + RETIRE_MS)
        await Promise.all([retired, insertSigningKey(tx, key)])
        const resource = { type: 'token-signing-key', id: key.keyId }
        await deps.audit.record(tx, anonymous(origin), { action: 'key.rotate', resource, details: { isStolen } })
      })
      await load()
    },
    async listPublicKeys() {
      return (await getKeys()).map(({ keyId, publicKey }) => ({
        ...publicKey.export({ format: 'jwk' }),
        kid: keyId,
        use: 'sig',
        alg: 'ES256',
      }))
    },
  }
}

/** Other nodes sign on with the old key until they look again; the tokens live on after that. */
const RETIRE_MS = FRESH_MS + 300_000

const scope = { role: 'app', tenantId: SYSTEM_TENANT_ID } as const

function makeKey(deps: SigningKeysDeps) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keyId = deps.ids.next<string>()
  const plain = privateKey.export({ format: 'der', type: 'pkcs8' })
  const sealed = deps.sealer.seal(dataKeyOf(deps), ['token-signing-key', keyId, '1'], plain)
  plain.fill(0)
  return { keyId, privateKeyEncrypted: sealed, at: deps.clock.now() }
}

function openKey(deps: SigningKeysDeps, row: StoredSigningKey): LoadedKey {
  const plain = deps.sealer.open(dataKeyOf(deps), ['token-signing-key', row.key_id, '1'], row.private_key_encrypted)
  const privateKey = createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' })
  plain.fill(0)
  return { keyId: row.key_id, privateKey, publicKey: createPublicKey(privateKey) }
}

function dataKeyOf(deps: SigningKeysDeps) {
  return { id: 'deployment/token-signing', epoch: 1, key: deps.sealingKey }
}
