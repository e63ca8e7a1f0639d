import { expect, test } from 'vitest'
import { newKey } from '../../platform/crypto/primitives.ts'
import { systemRandom } from '../../platform/ids/ids.ts'
import {
  auditBucketOf,
  auditWrappingKey,
  conversationWrappingKey,
  deriveAuditKey,
  deriveDirectoryKey,
  deriveIndexKey,
} from './key.model.ts'

const keyNamed = (id: string) => ({ id, epoch: 1, key: newKey(systemRandom) })
const [tenantKey, otherTenantKey] = [keyNamed('tenant/1/wrapping/1'), keyNamed('tenant/2/wrapping/1')]
const [bobs, carols, bucket] = [keyNamed('bob'), keyNamed('carol'), keyNamed('bucket')]

test('what is about a patient takes the key of the tenant and of that patient: without either it is another key', () => {
  const wrapping = (tenant: typeof tenantKey, subject?: typeof bobs) => conversationWrappingKey(tenant, subject).key
  for (const derive of [wrapping, deriveDirectoryKey]) {
    const right = derive(tenantKey, bobs)
    expect(derive(tenantKey, bobs).equals(right)).toBe(true)
    for (const wrong of [derive(tenantKey, carols), derive(tenantKey, undefined), derive(otherTenantKey, bobs)]) {
      expect(wrong.equals(right)).toBe(false)
    }
  }
  const right = deriveAuditKey(bucket, bobs)
  expect(deriveAuditKey(bucket, carols).equals(right)).toBe(false)
  expect(deriveAuditKey(keyNamed('bucket'), bobs).equals(right)).toBe(false)
})

test('no two uses of the same keys give the same key', () => {
  const purposes = ['login', 'audit-actor', 'audit-subject', 'audit-resource', 'idempotency', 'audit-bucket'] as const
  const derived = [
    tenantKey.key,
    conversationWrappingKey(tenantKey, undefined).key,
    conversationWrappingKey(tenantKey, bobs).key,
    auditWrappingKey(tenantKey).key,
    deriveDirectoryKey(tenantKey, undefined),
    deriveDirectoryKey(tenantKey, bobs),
    deriveAuditKey(tenantKey, bobs),
    ...purposes.map((purpose) => deriveIndexKey(tenantKey, purpose)),
  ]
  expect(new Set(derived.map((key) => key.export().toString('hex'))).size).toBe(derived.length)
})

test('subjects spread over all buckets, in another way in every tenant', () => {
  const [mine, others] = [tenantKey, otherTenantKey].map((key) => deriveIndexKey(key, 'audit-bucket'))
  const subjects = Array.from({ length: 5000 }, (_, index) => `subject-${index}`)
  const buckets = subjects.map((subject) => auditBucketOf(mine!, subject))
  expect(new Set(buckets).size).toBe(256)
  expect(Math.min(...buckets)).toBe(0)
  expect(Math.max(...buckets)).toBe(255)
  expect(subjects.map((subject) => auditBucketOf(mine!, subject))).toEqual(buckets)
  expect(subjects.map((subject) => auditBucketOf(others!, subject))).not.toEqual(buckets)
})
