import { z } from 'zod'
import { limitSpecs, type LimitName } from '../limits.ts'
import { operation } from './operation.ts'

const limitSchema = z.object({ value: z.number(), unit: z.string(), meaning: z.string() })
const limitNames = Object.keys(limitSpecs) as LimitName[]

export const getLimits = operation({
  operationId: 'getLimits',
  method: 'GET',
  path: '/v1/limits',
  summary: 'Every limit that a client can meet',
  tag: 'meta',
  reply: {
    status: 200,
    schema: z
      .object(
        Object.fromEntries(limitNames.map((name) => [name, limitSchema])) as Record<LimitName, typeof limitSchema>,
      )
      .meta({ id: 'Limits' }),
  },
  auth: 'none',
  audit: { unaudited: 'constants of the server: no tenant, no person' },
  activity: false,
  problems: [],
})

const documentSchema = z.record(z.string(), z.unknown())

export const getOpenApi = operation({
  operationId: 'getOpenApi',
  method: 'GET',
  path: '/v1/openapi.json',
  summary: 'This API as an OpenAPI 3.1 document',
  tag: 'meta',
  reply: { status: 200, schema: documentSchema },
  auth: 'none',
  audit: { unaudited: 'a public document: no tenant, no person' },
  activity: false,
  problems: [],
})

export const getAsyncApi = operation({
  operationId: 'getAsyncApi',
  method: 'GET',
  path: '/v1/asyncapi.json',
  summary: 'The socket protocol as an AsyncAPI 3.0 document',
  tag: 'meta',
  reply: { status: 200, schema: documentSchema },
  auth: 'none',
  audit: { unaudited: 'a public document: no tenant, no person' },
  activity: false,
  problems: [],
})

export const listProblems = operation({
  operationId: 'listProblems',
  method: 'GET',
  path: '/v1/problems',
  summary: 'The catalogue of problem codes',
  tag: 'meta',
  reply: {
    status: 200,
    schema: z.object({
      items: z.array(
        z.object({ code: z.string(), status: z.int(), title: z.string(), retry: z.string(), advice: z.string() }),
      ),
    }),
  },
  auth: 'none',
  audit: { unaudited: 'a public document: no tenant, no person' },
  activity: false,
  problems: [],
})
