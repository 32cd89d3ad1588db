import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CompletionRequest, SbpRequest } from './completions.js';
import { SbpError } from '../errors.js';
import { parseJsonBody, parseQuery, parseValue, requireUuid } from './parse.js';
import { ExportRequest } from './roaming.js';
import { MessagesQuery } from './sessions.js';

const bytes = (text: string) => Buffer.from(text);
const body = (value: unknown) => bytes(JSON.stringify(value));
const user = { role: 'user', content: 'hi' };

function refusal(parse: () => unknown): { code: string; param: string | null; message: string } {
  try {
    parse();
  } catch (error) {
    if (error instanceof SbpError)
      return { code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('parseJsonBody', () => {
  it('gives the value with defaults, and keeps unknown fields where the schema does', () => {
    expect(parseJsonBody(body({ label: 'x' }), ExportRequest)).toEqual({
      ttl_seconds: 86_400,
      label: 'x',
    });
    expect(
      parseJsonBody(body({ model: 'm', messages: [user], top_k: 3 }), CompletionRequest),
    ).toMatchObject({
      top_k: 3,
    });
  });

  it.each([undefined, null, Buffer.alloc(0)])('takes no body (%s) as an empty object', (none) => {
    expect(parseJsonBody(none, ExportRequest)).toEqual({ ttl_seconds: 86_400 });
    expect(refusal(() => parseJsonBody(none, CompletionRequest))).toMatchObject({ param: 'model' });
  });

  it('tolerates a byte order mark and repeated keys', () => {
    expect(parseJsonBody(bytes('\ufeff{"label":"a","label":"b"}'), ExportRequest).label).toBe('b');
  });

  it.each<[unknown, string, RegExp]>([
    [{ messages: [user] }, 'model', /^model: is missing$/],
    [{ model: 5, messages: [user] }, 'model', /expected string, received number/],
    [{ model: 'm' }, 'messages', /is missing/],
    [{ model: 'm', messages: 'hi' }, 'messages', /expected array, received string/],
    [
      { model: 'm', messages: [{ ...user, role: 'king' }] },
      'messages.0.role',
      /^messages\.0\.role: /,
    ],
    [
      { model: 'm', messages: [user, { ...user, content: [{ type: 7 }] }] },
      'messages.1.content.0.type',
      /expected string/,
    ],
    [
      { model: 'm', messages: [{ ...user, content: 7 }] },
      'messages.0.content',
      /^messages\.0\.content: /,
    ],
    [
      { model: 'm', messages: [{ role: 'user' }], stream_options: { include_usage: 1 } },
      'stream_options.include_usage',
      /boolean/,
    ],
  ])('names the wrong field of %j', (value, param, message) => {
    const found = refusal(() => parseJsonBody(body(value), CompletionRequest));
    expect(found).toMatchObject({ code: 'SBP_INVALID_REQUEST', param });
    expect(found.message).toMatch(message);
  });

  it.each([[[]], ['text'], [7], [null], [true]])(
    'refuses the body %j, which is no object',
    (value) => {
      expect(refusal(() => parseJsonBody(body(value), ExportRequest))).toMatchObject({
        code: 'SBP_INVALID_REQUEST',
        param: null,
        message: expect.stringMatching(/^body: .*expected object/) as string,
      });
    },
  );

  it.each(['{', '{"a":}', 'hello', '{"a":1}}', "{'a':1}", ' ', '\0', '{"a":NaN}'])(
    'refuses %j, which is no JSON',
    (text) => {
      expect(refusal(() => parseJsonBody(bytes(text), ExportRequest))).toMatchObject({
        code: 'SBP_INVALID_REQUEST',
        message: expect.stringMatching(/^body is not JSON: /) as string,
      });
    },
  );

  it('refuses what is not UTF-8', () => {
    const text = Buffer.concat([bytes('{"label":"'), Buffer.from([0xff, 0xfe]), bytes('"}')]);
    expect(refusal(() => parseJsonBody(text, ExportRequest)).message).toBe(
      'body is not JSON: it is not UTF-8',
    );
  });

  it.each([
    ['arrays', '['.repeat(8 * 1024 * 1024)],
    ['closed arrays', '['.repeat(4_000_000) + ']'.repeat(4_000_000)],
    ['objects', '{"a":'.repeat(1_000_000)],
    ['arrays after text with brackets', `["]]]]\\"]]\\\\",${'['.repeat(600)}`],
  ])('refuses %s that nest without end', (_what, text) => {
    expect(refusal(() => parseJsonBody(bytes(text), ExportRequest)).message).toMatch(
      /nests more than 500 levels/,
    );
  });

  it('does not take brackets in texts for nesting, nor siblings', () => {
    const label = '[{"\\'.repeat(25);
    expect(
      parseJsonBody(body({ label, more: Array.from({ length: 2000 }, () => [{}]) }), ExportRequest)
        .label,
    ).toBe(label);
  });
});

describe('parseValue', () => {
  it('names a field by its place in the whole', () => {
    expect(refusal(() => parseValue({ checkpoint_every: 0 }, SbpRequest, 'sbp'))).toMatchObject({
      code: 'SBP_INVALID_REQUEST',
      param: 'sbp.checkpoint_every',
    });
    expect(refusal(() => parseValue('x', SbpRequest, 'sbp'))).toMatchObject({ param: 'sbp' });
  });

  it('has a code of its own for a text that should be a UUID', () => {
    const found = refusal(() => parseValue({ session_id: 'abc' }, SbpRequest, 'sbp'));
    expect(found).toMatchObject({
      code: 'SBP_INVALID_UUID',
      param: 'sbp.session_id',
      message: 'sbp.session_id: is not a UUID',
    });
    expect(refusal(() => parseValue({ session_id: 7 }, SbpRequest, 'sbp')).code).toBe(
      'SBP_INVALID_REQUEST',
    );
  });
});

describe('parseQuery', () => {
  it('reads numbers, and names what is none', () => {
    expect(parseQuery({ after: '3', other: 'x' }, MessagesQuery)).toEqual({ after: 3, limit: 100 });
    expect(refusal(() => parseQuery({ limit: 'all' }, MessagesQuery))).toMatchObject({
      param: 'limit',
    });
    expect(refusal(() => parseQuery({ limit: '0' }, MessagesQuery))).toMatchObject({
      param: 'limit',
    });
    expect(
      refusal(() => parseQuery({ limit: ['1', '2'] }, z.object({ limit: z.string() }))),
    ).toMatchObject({
      param: 'limit',
    });
  });
});

describe('requireUuid', () => {
  it('gives the id in lower case', () => {
    expect(requireUuid('3F2504E0-4F89-41D3-9A0C-0305E82C3301', 'session_id')).toBe(
      '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    );
  });

  it.each([undefined, '', 'x', '3f2504e0-4f89-41d3-9a0c-0305e82c330', '../../etc/passwd', '%00'])(
    'refuses %j',
    (value) => {
      expect(refusal(() => requireUuid(value, 'session_id'))).toEqual({
        code: 'SBP_INVALID_UUID',
        param: 'session_id',
        message: 'session_id: is not a UUID',
      });
    },
  );
});
