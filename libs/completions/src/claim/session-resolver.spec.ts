import { describe, expect, it } from 'vitest';
import type { CompletionsOptions } from '../completions-options.js';
import { trackedRequest } from '../testing/test-request.js';
import type { Target } from './session-resolver.js';
import { SessionResolver } from './session-resolver.js';

const NAMED = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const OF_TOKEN = '3f2504e0-4f89-41d3-9a0c-0305e82c3302';

function resolve(
  implicitSession: boolean,
  sbp: object | null,
  tokenSession: string | null = null,
): Target {
  const options = { implicitSession } as CompletionsOptions;
  return new SessionResolver(options).resolve(
    trackedRequest({ sbp, credential: { tokenSession } }),
  );
}

describe('a request that names no session', () => {
  it("belongs to its agent's live one", () => {
    expect(resolve(true, {})).toEqual({ type: 'live' });
  });

  // [SBP-L1-15]
  it('belongs to a new one where implicit sessions are off', () => {
    expect(resolve(false, {})).toEqual({ type: 'new' });
  });

  // [SBP-L1-15]
  it('belongs to a new one where it is tracked without an sbp object', () => {
    expect(resolve(true, null)).toEqual({ type: 'new' });
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
  ])('is %s', (_what, sbp, tokenSession, expected) => {
    expect(resolve(true, sbp, tokenSession)).toEqual(
      expected === 'new' ? { type: 'new' } : { type: 'session', sessionId: expected },
    );
  });

  it.each([{}, { force_new_session: true }])(
    'refuses a token of another session than the named one, whatever else is asked for: %j',
    (more) => {
      const sbp = { session_id: NAMED, ...more };
      expect(() => resolve(true, sbp, OF_TOKEN)).toThrow(
        expect.objectContaining({ code: 'SBP_FORBIDDEN', param: 'sbp.session_id' }) as Error,
      );
    },
  );
});
