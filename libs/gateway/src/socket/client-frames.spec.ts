import { describe, expect, it } from 'vitest';
import type { IncomingFrame } from './client-frames.js';
import { readFirstFrame, readLaterFrame } from './client-frames.js';

const SESSION = '7f0c8b0e-9a51-4a55-8ad4-2e21a0a5a1b2';
const attach = { type: 'ATTACH_SESSION', session_id: SESSION, session_token: 'token' };

function text(value: string): IncomingFrame {
  return { text: value, bytes: Buffer.byteLength(value) };
}

function json(value: unknown): IncomingFrame {
  return text(JSON.stringify(value));
}

describe('the first frame', () => {
  it.each([
    ['a binary frame', { text: null, bytes: 2 }, 'Frames are text; this one is binary'],
    ['no JSON', text('hello'), 'The frame is not JSON'],
    ['an empty frame', text(''), 'The frame is not JSON'],
    ['nesting without end', text('['.repeat(60_000)), 'The frame is not JSON'],
    ['an array', json([attach]), 'A frame is a JSON object'],
    ['null', json(null), 'A frame is a JSON object'],
    ['another type', json({ type: 'PONG' }), "Expected ATTACH_SESSION as first frame, got 'PONG'"],
    ['no type', json({}), 'Expected ATTACH_SESSION as first frame, got a frame without a type'],
    [
      'a type that is no string',
      json({ type: 5 }),
      'Expected ATTACH_SESSION as first frame, got a frame without a type',
    ],
    [
      'another session',
      json({ ...attach, session_id: 'another' }),
      'session_id must equal the one in the path',
    ],
    [
      'no session',
      json({ ...attach, session_id: undefined }),
      'session_id must equal the one in the path',
    ],
    // The type is looked at before the session, and the session before the context.
    [
      'another type and another session',
      json({ type: 'DETACH', session_id: 'another' }),
      "Expected ATTACH_SESSION as first frame, got 'DETACH'",
    ],
    [
      'another session and a bad context',
      json({ ...attach, session_id: 'another', surface_context: 5 }),
      'session_id must equal the one in the path',
    ],
  ])('is refused when it is %s', (_, frame, detail) => {
    expect(readFirstFrame(frame, SESSION)).toEqual({ type: 'protocol-error', detail });
  });

  it('is refused when its context has fields of the wrong type, and the detail names the field', () => {
    const frame = json({ ...attach, surface_context: { device_type: 5 } });
    expect(readFirstFrame(frame, SESSION)).toMatchObject({
      type: 'protocol-error',
      detail: expect.stringContaining('device_type') as unknown,
    });
  });

  it('is too big above 64 KiB, whatever it says', () => {
    expect(readFirstFrame(text('x'.repeat(64 * 1024 + 1)), SESSION)).toEqual({ type: 'too-big' });
    const padding = 'x'.repeat(64 * 1024 - JSON.stringify({ ...attach, padding: '' }).length);
    expect(readFirstFrame(json({ ...attach, padding }), SESSION)).toMatchObject({ type: 'attach' });
  });

  it.each([
    ['absent', {}],
    ['null', { surface_context: null }],
    ['empty', { surface_context: {} }],
  ])('may have a context that is %s', (_, fields) => {
    const read = readFirstFrame(json({ ...attach, ...fields }), SESSION);
    expect(read).toEqual({ type: 'attach', token: 'token', context: {} });
  });

  it('may have unknown fields, devices and capabilities', () => {
    const surface_context = { device_type: 'fridge', ui_capabilities: ['smell'], colour: 'red' };
    const read = readFirstFrame(json({ ...attach, surface_context, extra: 1 }), SESSION);
    expect(read).toEqual({
      type: 'attach',
      token: 'token',
      context: { device_type: 'fridge', ui_capabilities: ['smell'] },
    });
  });

  it.each([
    ['missing', undefined],
    ['null', null],
    ['a number', 5],
  ])('leaves a token that is %s to the check of tokens', (_, session_token) => {
    expect(readFirstFrame(json({ ...attach, session_token }), SESSION)).toMatchObject({
      type: 'attach',
      token: null,
    });
  });
});

describe('a later frame', () => {
  it.each([
    ['binary', { text: null, bytes: 2 }],
    ['no JSON', text('{')],
    ['no object', json('PONG')],
  ])('is a protocol error when it is %s', (_, frame) => {
    expect(readLaterFrame(frame)).toMatchObject({ type: 'protocol-error' });
  });

  it('is too big above 64 KiB where it attaches anew, whatever else it says', () => {
    const padding = 'x'.repeat(64 * 1024);
    expect(readLaterFrame(json({ ...attach, padding }))).toEqual({ type: 'too-big' });
    expect(readLaterFrame(json({ type: 'ATTACH_SESSION', padding }))).toEqual({ type: 'too-big' });
    expect(readLaterFrame(json({ type: 'PONG', padding }))).toMatchObject({ type: 'frame' });
  });

  it.each([
    ['of an unknown type', { type: 'WAVE' }],
    ['without a type', { pong: true }],
    ['of a type that is no string', { type: { name: 'PONG' } }],
  ])('is passed over when it is %s', (_, frame) => {
    expect(readLaterFrame(json(frame))).toEqual({ type: 'unknown' });
  });

  it.each([
    { type: 'ATTACH_SESSION', session_id: 5 },
    { type: 'TOOL_RESULT', call_id: 5 },
  ])('is told apart when its type is known and its fields are bad: $type', (frame) => {
    expect(readLaterFrame(json(frame))).toEqual({ type: 'bad-fields' });
  });

  it.each([{ type: 'PONG' }, { type: 'DETACH' }])('is taken for what it is: $type', (frame) => {
    expect(readLaterFrame(json({ ...frame, extra: 'field' }))).toEqual({ type: 'frame', frame });
  });
});
