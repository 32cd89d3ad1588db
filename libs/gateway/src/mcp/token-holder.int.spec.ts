import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals } from '#libs/auth';
import { withRequest } from '#libs/telemetry';
import { TestBackend } from '#libs/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SESSION = '7f0c8b0e-9a51-4a55-8ad4-2e21a0a5a1b2';
let backend: TestBackend;
let token: string;

beforeEach(async () => {
  backend = await TestBackend.open();
  ({ token } = await backend.tokens.issue(SESSION, 0));
});
afterEach(() => backend.close());

// [SBP-LIM-01]
describe('requests by the token of a session alone', () => {
  it.each([
    ['as X-Session-Token', () => ({ 'x-session-token': token })],
    ['as Bearer', () => ({ authorization: `Bearer ${token}` })],
  ])('count for its holder, sent %s', async (_, headers) => {
    const principals = new Principals({ type: 'required', apiKeyFile: '/none', jwt: null });
    const { tokens, freshness, sessions } = backend;
    const access = new SessionAccess(principals, new RequestLoad(1), tokens, freshness, sessions);
    const ends: (() => void)[] = [];
    const send = () => {
      const onEnd = (end: () => void): void => void ends.push(end);
      return withRequest({ requestId: 'r', address: null, onEnd }, () =>
        access.authenticate(headers(), 'principal or session token'),
      );
    };
    expect(await send()).toMatchObject({ tokenSession: SESSION });
    await expect(send()).rejects.toMatchObject({ code: 'SBP_RATE_LIMITED' });
    for (const end of ends) end();
    expect(await send()).toMatchObject({ tokenSession: SESSION });
  });
});
