import { describe, expect, it } from 'vitest';
import type { SessionAccess } from '#libs/access';
import { CompletionRequest, SbpRequest } from '#libs/protocol';
import type { CompletionsOptions } from '../completions-options.js';
import { SessionResolver } from './session-resolver.js';
import type { TrackedRequest } from '../http/tracked-request.js';

const NAMED = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const OF_TOKEN = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';

function request(sbp: object | null, tokenSession: string | null = null): TrackedRequest {
  return {
    credential: { principal: 'anonymous', tokenSession },
    agentId: 'anonymous',
    sbp: sbp === null ? null : SbpRequest.parse(sbp),
    checkpointEvery: 1,
    completion: CompletionRequest.parse({
      model: 'm',
      messages: [{ role: 'user', content: 'Hello.' }],
    }),
    options: {},
  };
}

async function resolve(implicitSession: boolean, ...asked: Parameters<typeof request>) {
  const authorised: string[] = [];
  const access = {
    authorise: (sessionId: string) => Promise.resolve(void authorised.push(sessionId)),
  } as unknown as SessionAccess;
  const options = { implicitSession } as CompletionsOptions;
  return {
    target: await new SessionResolver(options, access).resolve(request(...asked)),
    authorised,
  };
}

describe('a request that names no session', () => {
  it("belongs to its agent's live one", async () => {
    expect((await resolve(true, {})).target).toEqual({ type: 'live' });
  });

  // [SBP-L1-15]
  it('belongs to a new one where implicit sessions are off', async () => {
    expect((await resolve(false, {})).target).toEqual({ type: 'new' });
  });

  // [SBP-L1-15]
  it('belongs to a new one where it is tracked without an sbp object', async () => {
    expect((await resolve(true, null)).target).toEqual({ type: 'new' });
  });
});

// [SBP-L1-10]
describe('the order', () => {
  it.each([
    [
      'force_new_session before all else',
      { force_new_session: true, session_id: OF_TOKEN },
      OF_TOKEN,
      'new',
    ],
    ['the named session', { session_id: NAMED.toUpperCase() }, null, NAMED],
    ['the session of the token, with an sbp object', {}, OF_TOKEN, OF_TOKEN],
    ['the session of the token, without one', null, OF_TOKEN, OF_TOKEN],
  ])('is %s', async (_what, sbp, tokenSession, expected) => {
    const { target, authorised } = await resolve(true, sbp, tokenSession);
    expect(target).toEqual(
      expected === 'new' ? { type: 'new' } : { type: 'session', sessionId: expected },
    );
    // Whoever names a session must be allowed to, whatever else is asked for.
    expect(authorised).toEqual([tokenSession ?? NAMED]);
  });
});
