import { describe, expect, it } from 'vitest';
import type { SessionAccess } from '#libs/access';
import type { CompletionsOptions } from './completions-options.js';
import { RequestReader } from './request-reader.js';

const access = {
  authenticate: () => Promise.resolve({ principal: 'anonymous', tokenSession: null }),
} as unknown as SessionAccess;

function read(track: 'opt-in' | 'always', body: object, headers: Readonly<Record<string, string>> = {}) {
  const options = { track } as CompletionsOptions;
  return new RequestReader(access, options).read(headers, Buffer.from(JSON.stringify(body)));
}

const body = { model: 'm', messages: [{ role: 'user', content: 'Hello.' }], temperature: 0.5, vendor: { a: 1 } };

// [SBP-L1-01]
describe('a request without sbp and without a token', () => {
  it.each([body, { ...body, sbp: null }])('passes through: %j', async (each) => {
    expect(await read('opt-in', each)).toEqual({ type: 'pass-through' });
  });

  it('need not be one that this server would understand', async () => {
    expect(await read('opt-in', { model: 7 })).toEqual({ type: 'pass-through' });
  });

  it('is tracked where everything is', async () => {
    expect(await read('always', body)).toMatchObject({ type: 'tracked', request: { sbp: null, checkpointEvery: 1 } });
  });
});

describe('a request that is tracked', () => {
  it('has the token alone, or sbp alone', async () => {
    expect(await read('opt-in', body, { 'x-session-token': 't' })).toMatchObject({ type: 'tracked' });
    expect(await read('opt-in', { ...body, sbp: {} })).toMatchObject({ type: 'tracked' });
  });

  // [SBP-L1-02] [SBP-L1-03]
  it('keeps every field of its body but model, messages and sbp as an option for the model', async () => {
    const tracked = await read('opt-in', { ...body, sbp: { unknown: 1 } }, { 'x-agent-id': 'a' });
    expect(tracked).toMatchObject({
      type: 'tracked',
      request: { agentId: 'a', options: { temperature: 0.5, vendor: { a: 1 } } },
    });
    if (tracked.type === 'tracked') expect(Object.keys(tracked.request.options)).toEqual(['temperature', 'vendor']);
  });
});
