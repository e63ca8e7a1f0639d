import { SYSTEM_TENANT_ID } from '../../platform/context/context.ts'
import { statement, type Tx } from '../../platform/db/tx.ts'
import { instant, toRfc3339, type Instant } from '../../platform/time/clock.ts'

export interface StoredSigningKey {
  readonly key_id: string
  readonly private_key_encrypted: Buffer
}

const list = statement<StoredSigningKey>(
  'identity.signing-key-list',
  `select key_id, private_key_encrypted from token_signing_key
   where tenant_id = $1 and (retired_at is null or retired_at > $2)
   order by retired_at is null desc, created_at desc, key_id desc`,
)

/** Those that are not retired yet; first the one to sign with. */
export async function listSigningKeys(tx: Tx, now: Instant): Promise<readonly StoredSigningKey[]> {
  return tx.rows(list, [SYSTEM_TENANT_ID, toRfc3339(now)])
}

const insert = statement<never>(
  'identity.signing-key-insert',
  `insert into token_signing_key (tenant_id, key_id, private_key_encrypted, created_at) values ($1, $2, $3, $4)`,
)

export async function insertSigningKey(
  tx: Tx,
  key: { readonly keyId: string; readonly privateKeyEncrypted: Buffer; readonly at: Instant },
): Promise<void> {
  await tx.run(insert, [SYSTEM_TENANT_ID, key.keyId, key.privateKeyEncrypted, toRfc3339(key.at)])
}

const retire = statement<never>(
  'identity.signing-key-retire',
  `update token_signing_key set retired_at = least(coalesce(retired_at, $2), $2) where tenant_id = $1`,
)

/** All keys that there are. */
export async function retireSigningKeys(tx: Tx, retiredAtMs: number): Promise<void> {
  await tx.run(retire, [SYSTEM_TENANT_ID, toRfc3339(instant(retiredAtMs))])
}
