/** What every keyring must do, whatever it stands on (`keyring.port.ts`). */

import { expect, test } from 'vitest'
import { SealBroken } from '../../platform/crypto/envelope.ts'
import { newKey } from '../../platform/crypto/primitives.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import type { Keyring } from './keyring.port.ts'

const tenantId = '01900000-0000-7000-8000-000000000001'
const otherTenantId = '01900000-0000-7000-8000-000000000002'
const bob = '01900000-0000-7000-8000-0000000000b0'
const carol = '01900000-0000-7000-8000-0000000000c0'

/**
 * @param setUp  a keyring of a new deployment; `reopen` gives another handle on it, as another process has one; `foreign` is the
 *               keyring of another deployment
 */
export function testKeyringContract(
  setUp: () => Promise<{ keyring: Keyring; reopen: () => Promise<Keyring>; foreign: Keyring }>,
): void {
  test('what one process wraps, another unwraps, for the same context only', async () => {
    const { keyring, reopen } = await setUp()
    const key = newKey(systemRandom)
    const wrapped = await keyring.wrap(['tenant', tenantId], key)
    const reopened = await reopen()
    expect((await reopened.unwrap(['tenant', tenantId], wrapped)).equals(key)).toBe(true)
    await expect(reopened.unwrap(['tenant', otherTenantId], wrapped)).rejects.toThrow(SealBroken)
    await expect(reopened.unwrap(['tenant', tenantId], wrapped.subarray(1))).rejects.toThrow(SealBroken)
  })

  test('the keyring of another deployment neither unwraps nor knows the subjects, and has other secrets', async () => {
    const { keyring, foreign } = await setUp()
    const wrapped = await keyring.wrap(['tenant', tenantId], newKey(systemRandom))
    await keyring.createSubjectKey(tenantId, bob)
    await expect(foreign.unwrap(['tenant', tenantId], wrapped)).rejects.toThrow(SealBroken)
    expect(await foreign.findSubjectKey(tenantId, bob)).toBeUndefined()
    expect(foreign.derive('context-proof').equals(keyring.derive('context-proof'))).toBe(false)
  })

  test('secrets of the deployment stay the same and differ by purpose', async () => {
    const { keyring, reopen } = await setUp()
    const secret = keyring.derive('context-proof')
    expect((await reopen()).derive('context-proof').equals(secret)).toBe(true)
    expect(keyring.derive('access-token').equals(secret)).toBe(false)
  })

  test('a subject has one key, found by every process, and another one in another tenant', async () => {
    const { keyring, reopen } = await setUp()
    expect(await keyring.findSubjectKey(tenantId, bob)).toBeUndefined()
    const key = (await keyring.createSubjectKey(tenantId, bob))!
    expect((await keyring.createSubjectKey(tenantId, bob))!.equals(key)).toBe(true)
    expect((await (await reopen()).findSubjectKey(tenantId, bob))!.equals(key)).toBe(true)
    expect((await keyring.createSubjectKey(tenantId, carol))!.equals(key)).toBe(false)
    expect((await keyring.createSubjectKey(otherTenantId, bob))!.equals(key)).toBe(false)
  })

  test('of many that create the same key at once, all get the same one', async () => {
    const { keyring, reopen } = await setUp()
    const processes = [keyring, await reopen(), await reopen()]
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, index) => processes[index % 3]!.createSubjectKey(tenantId, bob)),
    )
    for (const key of made) expect(key!.equals(made[0]!)).toBe(true)
  })

  test('a destroyed key is not found again and not made anew, and its neighbours stay', async () => {
    const { keyring, reopen } = await setUp()
    await keyring.createSubjectKey(tenantId, bob)
    const neighbour = (await keyring.createSubjectKey(tenantId, carol))!
    await keyring.destroySubjectKey(tenantId, bob)
    await keyring.destroySubjectKey(tenantId, bob)
    for (const handle of [keyring, await reopen()]) {
      expect(await handle.findSubjectKey(tenantId, bob)).toBeUndefined()
      expect(await handle.createSubjectKey(tenantId, bob)).toBeUndefined()
      expect((await handle.findSubjectKey(tenantId, carol))!.equals(neighbour)).toBe(true)
    }
  })

  test('a key that was never made can be destroyed in advance', async () => {
    const { keyring } = await setUp()
    await keyring.destroySubjectKey(tenantId, bob)
    expect(await keyring.createSubjectKey(tenantId, bob)).toBeUndefined()
  })

  test('creating and destroying at once ends with no key, however they interleave', async () => {
    const { keyring, reopen } = await setUp()
    const other = await reopen()
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 4 === 3 ? other.destroySubjectKey(tenantId, bob) : keyring.createSubjectKey(tenantId, bob),
      ),
    )
    expect(await keyring.findSubjectKey(tenantId, bob)).toBeUndefined()
    expect(await keyring.createSubjectKey(tenantId, bob)).toBeUndefined()
  })
}
