import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { LogEvent } from './log-event.js';
import { LogEvent as schema } from './log-event.js';
import { EventCodec, eventCodec, eventNameOf } from './event-codec.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-000000000002';
const SECRET = 'what-a-person-wrote';

const detached = {
  id: '3f2504e0-4f89-41d3-9a0c-000000000001',
  type: 'surface.detached',
  schema: 1,
  session_id: SESSION,
  occurred_at: '2026-05-10T15:05:00.000Z',
  by: { principal: 'anonymous', via: 'surface' },
  data: { attach_id: '3f2504e0-4f89-41d3-9a0c-000000000003', reason: 'closed' },
};

function unreadOf(text: string) {
  const { unread } = eventCodec.read(SESSION, text);
  return unread;
}

describe('a record of the log', () => {
  it('is the event that it was written as', () => {
    const text = JSON.stringify(detached);
    const read = eventCodec.read(SESSION, text);
    expect(read).toEqual({ key: SESSION, text, event: detached, unread: null });
  });

  it.each([
    ['a type', { ...detached, type: 'turn.dreamt' }, 'unknown_type', 'turn.dreamt, schema 1'],
    ['a type and no form', { type: 'weather.changed', schema: 7 }, 'unknown_type', 'schema 7'],
    ['a version', { ...detached, schema: 2, data: SECRET }, 'unknown_schema', 'schema 2'],
    ['a type, and may be passed over', { type: 'a.b', schema: 1, optional: true }, 'optional', ''],
    [
      'a version, and may be passed over',
      { ...detached, schema: 2, optional: true },
      'optional',
      '',
    ],
  ] as const)('of a later writer, by %s, is told apart', (_by, value, reason, detail) => {
    const unread = unreadOf(JSON.stringify(value));
    expect(unread?.reason).toBe(reason);
    expect(unread?.detail).toContain(detail);
  });

  it('that breaks a schema of this version is malformed, also where it says that it is optional', () => {
    const broken = { ...detached, optional: true, data: { ...detached.data, attach_id: SECRET } };
    expect(unreadOf(JSON.stringify(broken))).toEqual({
      reason: 'malformed',
      detail: 'data.attach_id: invalid_format',
    });
  });

  it('that is keyed by another session is malformed', () => {
    const { unread } = eventCodec.read('another', JSON.stringify(detached));
    expect(unread).toMatchObject({ reason: 'malformed' });
  });

  it.each([
    '',
    '{',
    'null',
    '[]',
    '7',
    '{}',
    '{"type":"turn.adopted"}',
    '{"type":1,"schema":1}',
    '{"schema":1}',
    SECRET,
    `{"type":"turn.adopted","schema":"${SECRET}"}`,
    JSON.stringify({ ...detached, data: { [`${SECRET} as a name`]: SECRET, attach_id: SECRET } }),
  ])('that is no event (%s) is malformed, and the reason quotes nothing of it', (text) => {
    const unread = unreadOf(text);
    expect(unread).toMatchObject({
      reason: 'malformed',
      detail: expect.stringMatching(/./) as string,
    });
    expect(unread?.detail).not.toContain(SECRET);
  });

  it('has an id and a type as far as it is an event', () => {
    expect(eventNameOf(JSON.stringify(detached))).toEqual({
      id: detached.id,
      type: 'surface.detached',
    });
    expect(eventNameOf(JSON.stringify({ id: 'no id', type: 'a\0b' }))).toEqual({
      id: null,
      type: 'a?b',
    });
    expect(eventNameOf('{"id":7}')).toEqual({ id: null, type: null });
    expect(eventNameOf('{')).toEqual({ id: null, type: null });
  });
});

describe('an event of an older version', () => {
  const upcasts = [
    {
      type: 'surface.left',
      schema: 1,
      up: (event: Readonly<Record<string, unknown>>) => ({ ...event, schema: 2 }),
    },
    {
      type: 'surface.left',
      schema: 2,
      up: ({ why, ...event }: Readonly<Record<string, unknown>>) => {
        if (why === undefined) throw new Error(SECRET);
        const data = { ...(event['data'] as object), reason: why };
        return { ...event, type: 'surface.detached', schema: 1, data };
      },
    },
    { type: 'endless', schema: 1, up: (event: Readonly<Record<string, unknown>>) => event },
  ];
  const codec = new EventCodec(schema, upcasts);
  const { attach_id } = detached.data;
  const old = { ...detached, type: 'surface.left', data: { attach_id } };

  function decode(event: object): ReturnType<EventCodec['decode']> {
    return codec.decode(JSON.stringify(event));
  }

  it('is upcast, step by step, until it is one of this version', () => {
    const event = detached as LogEvent;
    expect(decode({ ...old, why: 'closed' })).toEqual({ type: 'event', event });
    expect(decode({ ...old, why: 'closed', schema: 2 })).toEqual({ type: 'event', event });
  });

  it('is malformed where its upcast fails, or does not give an event', () => {
    const failed = { type: 'unread', reason: 'malformed' };
    expect(decode(old)).toEqual({ ...failed, detail: 'its upcast from schema 2 failed' });
    expect(decode({ ...old, why: 7 })).toMatchObject(failed);
    expect(decode({ type: 'endless', schema: 1 })).toMatchObject(failed);
  });

  it('is unknown where this version has no upcast of it', () => {
    expect(decode({ ...old, schema: 3 })).toMatchObject({ type: 'unread', reason: 'unknown_type' });
  });

  it('may be read by the schemas of another version', () => {
    const [first] = schema.options;
    const narrow = new EventCodec(z.discriminatedUnion('type', [first]), []);
    expect(narrow.decode(JSON.stringify(detached))).toMatchObject({ reason: 'unknown_type' });
  });
});
