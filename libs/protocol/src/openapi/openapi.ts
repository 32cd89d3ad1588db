import { z } from 'zod';
import { ERRORS } from '../errors.js';
import * as approvals from '../http/approvals.js';
import * as audit from '../http/audit.js';
import * as completions from '../http/completions.js';
import * as roaming from '../http/roaming.js';
import * as sessions from '../http/sessions.js';
import * as snapshots from '../http/snapshots.js';
import * as turns from '../http/turns.js';
import * as usage from '../http/usage.js';
import { HEADERS, SBP_VERSION } from '../http/headers.js';
import type { Route } from '../http/routes.js';
import { ROUTES } from '../http/routes.js';
import type { Access, Operation } from './operations.js';
import { OPERATIONS } from './operations.js';

type Json = Readonly<Record<string, unknown>>;

const TAGS: readonly (readonly [RegExp, string])[] = [
  [/^\/v1\/sbp\/(audit|analytics)|^\/metrics/, 'Operators'],
  [/export|import|handoff|fork|lineage|token\/\{|bundles|well-known/, 'Roaming'],
  [/^\/v1\/sbp\//, 'Sessions'],
  [/^\/v1\//, 'Completions'],
];

const SECURITY: Readonly<Record<Access, readonly Json[]>> = {
  anybody: [],
  'roaming token': [{ bearer: [] }, {}],
  session: [{ bearer: [] }, { sessionToken: [] }, {}],
  user: [{ bearer: [] }, {}],
  operator: [{ bearer: [] }, {}],
};

/** The names of schemas, as they are exported. */
const NAMES: ReadonlyMap<unknown, string> = new Map(
  [approvals, audit, completions, roaming, sessions, snapshots, turns, usage].flatMap((module) =>
    Object.entries(module).map(([name, schema]) => [schema as unknown, name] as const),
  ),
);

/** The HTTP API as an OpenAPI 3.1 document, from the route table and the schemas. */
export function openApiDocument(server = '/'): Json {
  const paths: Record<string, Record<string, Json>> = {};
  const schemas = new Map<z.ZodType, string>();
  for (const route of ROUTES) {
    const operation = OPERATIONS[`${route.method} ${route.path}`];
    if (operation === undefined) throw new Error(`${route.method} ${route.path} is not described`);
    // OpenAPI has no wildcard: of what is passed on, what every client asks for stands for all.
    const path = route.path.replace('{*path}', 'models');
    const method = route.method === 'ALL' ? 'get' : route.method.toLowerCase();
    paths[path] = { ...paths[path], [method]: described(route, path, operation, schemas) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'StateBridge',
      version: SBP_VERSION,
      summary: 'A stateful server between any OpenAI-compatible client and model',
      description:
        'Where access is open, no credential is needed. Surfaces speak over a WebSocket: see the reference of frames.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: server }],
    paths,
    components: {
      schemas: { ...definitions(schemas), Error: ERROR },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key, or a JWT.' },
        sessionToken: { type: 'apiKey', in: 'header', name: HEADERS.sessionToken },
      },
    },
  };
}

const ERROR: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'detail'],
      properties: {
        code: { type: 'string', examples: Object.keys(ERRORS) },
        message: { type: 'string' },
        detail: {},
      },
    },
  },
};

function described(
  route: Route,
  path: string,
  operation: Operation,
  schemas: Map<z.ZodType, string>,
): Json {
  const { summary, access, query, body, status, answer } = operation;
  const reference = (schema: z.ZodType): Json => {
    const name = NAMES.get(schema);
    if (name === undefined) throw new Error(`a schema of ${path} is not exported`);
    schemas.set(schema, name);
    return { $ref: `#/components/schemas/${name}` };
  };
  const parameters = [...pathParameters(path), ...(query === undefined ? [] : queryOf(query))];
  return {
    operationId: `${route.method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, '_')}`,
    summary,
    tags: [TAGS.find(([of]) => of.test(path))?.[1] ?? 'Server'],
    security: SECURITY[access],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: json(reference(body)) } }),
    responses: {
      [status]: {
        description: DESCRIPTIONS[status] ?? 'Done',
        ...(answer === null ? {} : { content: json(reference(answer)) }),
      },
      default: {
        description: 'An error',
        content: json({ $ref: '#/components/schemas/Error' }),
      },
    },
  };
}

const DESCRIPTIONS: Readonly<Record<number, string>> = {
  101: 'A WebSocket',
  201: 'Made',
  202: 'Taken',
  204: 'Done, without a body',
  405: 'Never allowed',
};

function json(schema: Json): Json {
  return { 'application/json': { schema } };
}

function pathParameters(path: string): readonly Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: name.endsWith('_id') ? { type: 'string', format: 'uuid' } : { type: 'string' },
  }));
}

function queryOf(query: z.ZodType): readonly Json[] {
  const { properties = {} } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }));
}

function definitions(schemas: ReadonlyMap<z.ZodType, string>): Json {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of schemas) registry.add(schema, { id });
  const made = z.toJSONSchema(registry, {
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => `#/components/schemas/${id}`,
  }).schemas;
  return Object.fromEntries(
    Object.entries(made).map(([id, { $schema: _dialect, $id: _uri, ...schema }]) => [id, schema]),
  );
}
