import type { FastifyReply } from 'fastify'
import { securityHeaders } from '../gate/security-headers.ts'

export function setSecurityHeaders(
  reply: FastifyReply,
  allowedOrigins: readonly string[],
  origin: string | undefined,
): void {
  reply.headers(securityHeaders)
  if (origin !== undefined && allowedOrigins.includes(origin)) setCorsHeaders(reply, origin)
}

function setCorsHeaders(reply: FastifyReply, origin: string): void {
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': 'authorization, content-type, sotto-purpose',
    'access-control-expose-headers': 'retry-after, www-authenticate',
    'access-control-max-age': '600',
    'cross-origin-resource-policy': 'cross-origin',
    vary: 'Origin',
  })
}
