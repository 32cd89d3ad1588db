import * as protocol from '#libs/protocol';
import { z } from 'zod';

type Schemas = Readonly<Record<string, z.ZodType>>;

/** A JSON Schema document: every definition below `$defs`, under its name. */
type SchemaDocument = Readonly<Record<string, unknown>>;

/** Every schema that the protocol library exports, under its name. */
const exported: Schemas = Object.fromEntries(
  Object.entries(protocol).flatMap(([name, value]) =>
    value instanceof z.ZodType ? [[name, value]] : [],
  ),
);

export const clientFrames = byType(protocol.ClientFrame.options);
export const serverFrames = byType(protocol.ServerFrame.options);
export const logEvents = byType(protocol.LogEvent.options);

/** What frames, events and bodies are made of. */
const parts: Schemas = pick(
  'Actor',
  'CallerPresence',
  'History',
  'Instant',
  'JsonObject',
  'Line',
  'Message',
  'OnSurfaceLost',
  'PendingCall',
  'ProcessAddress',
  'SentContext',
  'SessionStatus',
  'SurfaceContext',
  'ToolOutcome',
  'ToolPolicy',
  'ToolSchema',
  'ToolSchemas',
  'TurnError',
  'TurnStatus',
  'Usage',
  'Uuid',
);

const elsewhere = new Set<z.ZodType>(
  [clientFrames, serverFrames, logEvents, parts].flatMap((schemas) => Object.values(schemas)),
);
const unions = new Set<z.ZodType>([protocol.ClientFrame, protocol.ServerFrame, protocol.LogEvent]);

/** Bodies and token claims. */
export const bodies: Schemas = Object.fromEntries(
  Object.entries(exported).filter(([, schema]) => !elsewhere.has(schema) && !unions.has(schema)),
);

/** A document that defines these schemas and the parts that they use. */
export function schemaDocument(title: string, schemas: Schemas): SchemaDocument {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...parts, ...schemas })) registry.add(schema, { id });
  const generated = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/$defs/${id}` }).schemas;
  const definitions = new Map(
    Object.entries(generated).map(([id, { $schema: _dialect, $id: _uri, ...definition }]) => [
      id,
      definition,
    ]),
  );
  const used = reachable(Object.keys(schemas), definitions);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title,
    $defs: Object.fromEntries(
      [...definitions].filter(([id]) => used.has(id)).sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  };
}

function reachable(
  from: readonly string[],
  definitions: ReadonlyMap<string, unknown>,
): ReadonlySet<string> {
  const found = new Set(from);
  for (const id of found) {
    const text = JSON.stringify(definitions.get(id));
    for (const [, next] of text.matchAll(/"#\/\$defs\/([^"]+)"/g))
      if (next !== undefined) found.add(next);
  }
  return found;
}

function byType(options: readonly z.ZodObject[]): Readonly<Record<string, z.ZodObject>> {
  return Object.fromEntries(options.map((option) => [typeOf(option), option]));
}

function typeOf({ shape }: z.ZodObject): string {
  const { type } = shape;
  if (!(type instanceof z.ZodLiteral)) throw new Error('a frame or event has a literal type');
  return String(type.value);
}

function pick(...names: readonly string[]): Schemas {
  return Object.fromEntries(
    names.map((name) => {
      const schema = exported[name];
      if (schema === undefined) throw new Error(`libs/protocol exports no schema ${name}`);
      return [name, schema];
    }),
  );
}
