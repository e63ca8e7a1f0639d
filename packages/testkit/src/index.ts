/** The door of the test kit: real databases, real servers, real sockets. */
export * from './databases.ts'
export * from './test-server.ts'
export * from './test-socket.ts'
