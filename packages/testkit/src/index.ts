/** The door of the test kit: real databases, real servers, real sockets. */
export * from './databases.ts'
export * from './empty-postgres.ts'
export * from './faulty-proxy.ts'
export { startPostgresServer, type PostgresPlace, type PostgresServer } from './postgres-server.ts'
export * from './server-process.ts'
export * from './small-disk.ts'
export * from './test-server.ts'
export * from './test-socket.ts'
