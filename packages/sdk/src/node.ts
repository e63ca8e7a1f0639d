/** What only Node has: a durable outbox in a folder. Everything else of the SDK is in `@sotto/sdk`. */
export { fileStorage, type FileStorageOptions } from './storage/file-storage.ts'
export type { Storage, Store, Write } from './storage/storage.port.ts'
