import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals, SessionTokens } from '#libs/auth';
import type { Freshness, SessionReads } from '#libs/store';
import type { CompletionsOptions } from '../completions-options.js';
import type { ReadRequest } from './request-reader.js';
import { RequestReader } from './request-reader.js';

const SESSION = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const tokens = new SessionTokens(Buffer.from('a secret of the tests'));
const plain = { model: 'demo', messages: [{ role: 'user', content: 'Hello' }], top_k: 3 };

// A request is read before its session is looked for.
const access = new SessionAccess(
  new Principals({ type: 'open' }),
  new RequestLoad(1),
  tokens,
  null as unknown as Freshness,
  null as unknown as SessionReads,
);

function read(
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
  track: CompletionsOptions['track'] = 'opt-in',
): Promise<ReadRequest> {
  const options = { track } as CompletionsOptions;
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return new RequestReader(access, options).read(headers, bytes);
}

async function tracked(...parameters: Parameters<typeof read>) {
  const answer = await read(...parameters);
  if (answer.type !== 'tracked') throw new Error('it passes through');
  return answer.request;
}

// [SBP-L1-01]
describe('a request without sbp and without a token', () => {
  it('passes through byte for byte', async () => {
    const body = '{ "model":"demo", "messages":[], "seed": 1.0 }';
    expect(await read(body)).toEqual({ type: 'pass-through', body: Buffer.from(body) });
  });

  it('whose sbp is null passes through without it: sbp never reaches the upstream', async () => {
    const answer = await read({ ...plain, sbp: null });
    expect(answer.type === 'pass-through' && JSON.parse(answer.body.toString())).toEqual(plain);
  });

  it('passes through even where it makes no sense to us: the model says so', async () => {
    expect((await read({ messages: 'x' })).type).toBe('pass-through');
  });

  it('is tracked where the operator says so', async () => {
    expect(await tracked(plain, {}, 'always')).toMatchObject({
      sbp: null,
      asked: { checkpointEvery: 1 },
    });
  });

  it.each(['', '{', '[]', 'null', '"x"'])(
    'that is no JSON object (%s) is refused',
    async (body) => {
      await expect(read(body)).rejects.toMatchObject({ code: 'SBP_INVALID_REQUEST' });
    },
  );
});

describe('a tracked request', () => {
  // [SBP-L1-02] [SBP-L1-03]
  it('is read whole: options are what is left of the body', async () => {
    const sbp = { session_id: SESSION, checkpoint_every: 4, unknown: true };
    const request = await tracked({ ...plain, stream: true, sbp }, { 'x-agent-id': 'my-agent' });
    expect(request).toMatchObject({
      agentId: 'my-agent',
      asked: { checkpointEvery: 4, options: { top_k: 3, stream: true } },
      sbp: { session_id: SESSION, force_new_session: false },
      credential: { principal: 'anonymous', tokenSession: null, tokenGeneration: 0 },
    });
    expect(Object.keys(request.asked.options).sort()).toEqual(['stream', 'top_k']);
  });

  it('is known by its size and the hash of its body, and by who sends it', async () => {
    const body = JSON.stringify({ ...plain, sbp: {} });
    expect(await tracked(body)).toMatchObject({
      asked: {
        bytes: Buffer.byteLength(body),
        bodyHash: createHash('sha256').update(body).digest('hex'),
      },
      by: { principal: 'anonymous', via: 'http' },
    });
  });

  it('may be one by its token alone, also with sbp null', async () => {
    const { token } = await tokens.issue(SESSION, 0);
    const headers = { 'x-session-token': token };
    expect(await tracked(plain, headers)).toMatchObject({
      sbp: null,
      credential: { tokenSession: SESSION },
    });
    expect((await tracked({ ...plain, sbp: null }, headers)).asked.options).toEqual({ top_k: 3 });
  });

  it('without an agent is the anonymous one’s', async () => {
    expect((await tracked({ ...plain, sbp: {} })).agentId).toBe('anonymous');
    expect((await tracked({ ...plain, sbp: {} }, { 'x-agent-id': '' })).agentId).toBe('anonymous');
  });

  it.each<[object, object]>([
    [{ sbp: 'x' }, { code: 'SBP_INVALID_REQUEST', param: 'sbp' }],
    [{ sbp: { session_id: 'abc' } }, { code: 'SBP_INVALID_UUID', param: 'sbp.session_id' }],
    [
      { sbp: {}, model: '' },
      { code: 'SBP_INVALID_REQUEST', param: 'model' },
    ],
    [
      { sbp: {}, messages: [{ role: 'king' }] },
      { code: 'SBP_INVALID_REQUEST', param: 'messages.0.role' },
    ],
  ])('with %j is refused', async (wrong, problem) => {
    await expect(read({ ...plain, ...wrong })).rejects.toMatchObject(problem);
  });

  it('with a forged token, or too long an agent id, is refused', async () => {
    await expect(read(plain, { 'x-session-token': 'forged' })).rejects.toMatchObject({
      code: 'SBP_UNAUTHORIZED',
    });
    const agent = { 'x-agent-id': 'x'.repeat(257) };
    await expect(read({ ...plain, sbp: {} }, agent)).rejects.toMatchObject({ param: 'X-Agent-ID' });
  });
});

describe('a tracked request with empty messages', () => {
  const empty = { model: 'demo', messages: [], sbp: {} };

  // [SBP-L1-57]
  it('is a probe', async () => {
    const sbp = { session_id: SESSION };
    expect(await read({ ...empty, sbp }, { 'x-agent-id': 'a' })).toMatchObject({
      type: 'probe',
      probe: { agentId: 'a', sbp },
    });
    expect(await read({ ...empty, sbp: null }, {}, 'always')).toMatchObject({ type: 'probe' });
  });

  it.each([
    [{ ...empty, model: undefined }, 'model'],
    [{ ...empty, stream: 'yes' }, 'stream'],
    [{ ...empty, sbp: { force_new_session: 1 } }, 'sbp.force_new_session'],
    [{ ...empty, messages: {} }, 'messages'],
    [{ model: 'demo', sbp: {} }, 'messages'],
  ])('is refused as any other where it is wrong: %j', async (body, param) => {
    await expect(read(body)).rejects.toMatchObject({ code: 'SBP_INVALID_REQUEST', param });
  });
});
