import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LogEvent, eventCodec } from './events/index.js';
import { ClientFrame, ServerFrame } from './frames/frames.js';
import * as protocol from './index.js';

/**
 * A value as it arrives, and why it is, or is not, what the contract says. It is given whole, or
 * as the first accepted value `without` some fields and `with` others, by their dotted paths.
 */
interface Fixture {
  readonly why: string;
  readonly value?: unknown;
  readonly without?: readonly string[];
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Fixtures {
  readonly accept: readonly Fixture[];
  readonly refuse: readonly Fixture[];
}

type Folder = 'events' | 'frames' | 'bodies';

const root = new URL('../fixtures/', import.meta.url);

function fixtures(
  folder: Folder,
  name: string,
  kind: keyof Fixtures,
): readonly { readonly why: string; readonly value: unknown }[] {
  const text = readFileSync(new URL(`${folder}/${name}.v1.json`, root), 'utf8');
  const all = JSON.parse(text) as Fixtures;
  return all[kind].map((fixture) => ({
    why: fixture.why,
    value: 'value' in fixture ? fixture.value : patched(all.accept[0]?.value, fixture),
  }));
}

function patched(base: unknown, { without = [], with: values = {} }: Fixture): unknown {
  const copy: unknown = structuredClone(base);
  for (const path of without) Reflect.deleteProperty(...parentOf(copy, path));
  for (const [path, value] of Object.entries(values)) Reflect.set(...parentOf(copy, path), value);
  return copy;
}

function parentOf(value: unknown, path: string): [object, string] {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const parent = keys.reduce<unknown>((part, key) => (part as Record<string, unknown>)[key], value);
  if (typeof parent !== 'object' || parent === null) throw new Error(`no parent of ${path}`);
  return [parent, last];
}

/** What bodies, frames and events are made of; they are tested as parts of those. */
const PARTS = new Set([
  'Actor',
  'CallerPresence',
  'Instant',
  'Line',
  'JsonObject',
  'History',
  'Message',
  'OnSurfaceLost',
  'PendingCall',
  'ProcessAddress',
  'SentContext',
  'SessionStatus',
  'ToolOutcome',
  'ToolPolicy',
  'ToolSchema',
  'ToolSchemas',
  'TurnError',
  'TurnStatus',
  'Usage',
  'Uuid',
]);

const events = new Map(
  LogEvent.options.map((schema) => [schema.shape.type.value as string, schema]),
);
const frames = new Map<string, z.ZodType>(
  [...ClientFrame.options, ...ServerFrame.options].map((schema) => [
    schema.shape.type.value,
    schema,
  ]),
);
const messages = new Set<unknown>([
  LogEvent,
  ClientFrame,
  ServerFrame,
  ...events.values(),
  ...frames.values(),
]);
const bodies = new Map(
  Object.entries(protocol).flatMap(([name, value]) =>
    value instanceof z.ZodType && !PARTS.has(name) && !messages.has(value)
      ? [[name, value] as const]
      : [],
  ),
);

describe.each<[Folder, ReadonlyMap<string, z.ZodType>]>([
  ['events', events],
  ['frames', frames],
  ['bodies', bodies],
])('fixtures of %s', (folder, schemas) => {
  it('are there for each schema, and for nothing else', () => {
    const expected = [...schemas.keys()].map((name) => `${name}.v1.json`);
    expect(readdirSync(new URL(`${folder}/`, root)).sort()).toEqual(expected.sort());
  });

  describe.each([...schemas])('%s', (name, schema) => {
    it.each(fixtures(folder, name, 'accept'))('accepts $why', ({ value }) => {
      expect(schema.safeParse(value)).toMatchObject({ success: true });
    });

    it.each(fixtures(folder, name, 'refuse'))('refuses $why', ({ value }) => {
      expect(schema.safeParse(value)).toMatchObject({ success: false });
    });
  });
});

describe('a record of the log', () => {
  it.each([...events.keys()])('of type %s is read as it was written', (type) => {
    for (const { value } of fixtures('events', type, 'accept')) {
      const decoded = eventCodec.decode(JSON.stringify(value));
      if (decoded.type !== 'event') throw new Error(JSON.stringify(decoded));
      expect(value).toMatchObject(decoded.event);
      // What is written again says the same.
      expect(eventCodec.decode(JSON.stringify(decoded.event))).toEqual(decoded);
    }
  });

  it.each([...events.keys()])('of type %s that breaks its schema is reported', (type) => {
    for (const { value, why } of fixtures('events', type, 'refuse')) {
      const isOtherVersion = why === 'schema: another version';
      expect(eventCodec.decode(JSON.stringify(value)), why).toMatchObject({
        type: 'unread',
        reason: isOtherVersion ? 'unknown_schema' : 'malformed',
      });
    }
  });
});

describe('a surface context', () => {
  // [SBP-L5-01]
  it('may name more tools than are taken, and longer names, and what it says of those', () => {
    const names = Array.from({ length: 500 }, (_, at) => `t${at}`);
    const long = 'x'.repeat(65);
    const sent = {
      device_type: 'mobile',
      mcp_tools: ['', long, 't0', '__proto__', ...names],
      mcp_tool_schemas: { [long]: {}, t0: null, t400: {} },
    };
    const taken = protocol.takenContext(protocol.SentContext.parse(sent));
    expect(protocol.SurfaceContext.parse(taken)).toEqual(taken);
    expect(taken).toEqual({
      device_type: 'mobile',
      mcp_tools: ['t0', '__proto__', ...names.slice(1, 127)],
      mcp_tool_schemas: { t0: null },
    });
    expect(protocol.takenContext(null)).toEqual({});
    const silent = { mcp_tools: null, mcp_tool_schemas: null };
    expect(protocol.takenContext(silent)).toEqual({ mcp_tools: [], mcp_tool_schemas: {} });
  });

  it('that is absent, null or empty is accepted', () => {
    for (const context of [undefined, null, {}]) {
      expect(protocol.SurfaceContext.safeParse(context)).toMatchObject({ success: true });
    }
  });
});
