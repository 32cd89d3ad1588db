import { createHmac, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RoamingTokens } from './roaming-tokens.js';
import { SessionTokens } from './session-tokens.js';
import { SigningKeys } from './signing-keys.js';

const noKeys = new SigningKeys('/nowhere/keys.json');
const nobody = { keyOf: () => Promise.resolve(null) };
const secret = randomBytes(16);
const session = new SessionTokens(secret);
const roaming = new RoamingTokens(secret, noKeys, nobody);
const sid = randomUUID();

const now = () => Math.floor(Date.now() / 1000);
const roamingClaims = (lifetime = 3600, iat = now()) => ({
  sub: randomUUID(),
  sid,
  iat,
  exp: iat + lifetime,
  iss: 'http://127.0.0.1:8080',
  cid: 'a'.repeat(64),
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (part: string | undefined) =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as unknown;
const withParts = (token: string, change: (parts: [string, string, string]) => string[]) =>
  change(token.split('.') as [string, string, string]).join('.');

afterEach(() => {
  vi.useRealTimers();
});

describe('session tokens', () => {
  // [SBP-SEC-02]
  it('is valid for its session, lives 30 days, and is never the same twice', async () => {
    const first = await session.issue(sid, 0);
    const second = await session.issue(sid, 0);
    expect(first.token).not.toBe(second.token);
    for (const { token } of [first, second]) {
      expect(await session.verify(token)).toEqual({ type: 'valid', sessionId: sid, generation: 0 });
    }
    const claims = decode(first.token.split('.')[1]);
    expect(claims).toMatchObject({ sid, use: 'session' });
    const { iat, exp } = claims as { iat: number; exp: number };
    expect(exp - iat).toBe(30 * 86_400);
    expect(first.expiresAt.getTime()).toBe(exp * 1000);
  });

  it('is expired after 30 days, and still says whose it was', async () => {
    vi.useFakeTimers({ now: Date.now() - 31 * 86_400_000, toFake: ['Date'] });
    const { token } = await session.issue(sid, 0);
    expect(await session.verify(token)).toEqual({ type: 'valid', sessionId: sid, generation: 0 });
    vi.useRealTimers();
    expect(await session.verify(token)).toEqual({ type: 'expired', sessionId: sid, generation: 0 });
  });

  it('is valid in another process with the same secret, and invalid under another secret', async () => {
    const { token } = await session.issue(sid, 0);
    expect((await new SessionTokens(Buffer.from(secret)).verify(token)).type).toBe('valid');
    expect((await new SessionTokens(randomBytes(32)).verify(token)).type).toBe('invalid');
  });

  it.each<[string, (token: string) => string]>([
    ['nothing', () => ''],
    ['no token', () => 'hello'],
    ['dots only', () => '..'],
    [
      'a token with a changed claim',
      (t) =>
        withParts(t, ([h, , s]) => [
          h,
          encode({ sid: randomUUID(), use: 'session', iat: now(), exp: now() + 99 }),
          s,
        ]),
    ],
    ['a token without signature', (t) => withParts(t, ([h, p]) => [h, p, ''])],
    ['alg none', (t) => withParts(t, ([, p]) => [encode({ alg: 'none', typ: 'JWT' }), p, ''])],
    ['alg none in other letters', (t) => withParts(t, ([, p]) => [encode({ alg: 'nOnE' }), p, ''])],
    ['a header that is no JSON', (t) => withParts(t, ([, p, s]) => ['e30x', p, s])],
    ['claims that are no object', (t) => withParts(t, ([h, , s]) => [h, encode('x'), s])],
    ['four parts', (t) => `${t}.x`],
    ['more than 8192 characters', (t) => t + 'A'.repeat(8192)],
    ['non-ASCII text', () => '€.€.€'],
  ])('refuses %s', async (_what, forge) => {
    expect(await session.verify(forge((await session.issue(sid, 0)).token))).toEqual({
      type: 'invalid',
    });
  });

  it('refuses a token signed by the right secret with another algorithm', async () => {
    const claims = { sid, use: 'session', iat: now(), exp: now() + 99 };
    const signed = `${encode({ alg: 'HS512', typ: 'JWT' })}.${encode(claims)}`;
    const mac = createHmac('sha512', secret).update(signed).digest('base64url');
    expect(await session.verify(`${signed}.${mac}`)).toEqual({ type: 'invalid' });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ec = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
    expect(await session.verify(ec)).toEqual({ type: 'invalid' });
  });

  it.each<[string, Record<string, unknown>]>([
    ['no expiry', { sid, use: 'session', iat: 1 }],
    ['no time of issue', { sid, use: 'session', exp: now() + 99 }],
    ['an expiry that is text', { sid, use: 'session', iat: 1, exp: 'never' }],
    ['a session that is no UUID', { sid: 'x', use: 'session', iat: 1, exp: now() + 99 }],
    ['no use', { sid, iat: 1, exp: now() + 99 }],
    ['another use', { sid, use: 'admin', iat: 1, exp: now() + 99 }],
    ['a start in the future', { sid, use: 'session', iat: 1, exp: now() + 99, nbf: now() + 50 }],
  ])('refuses a well signed token with %s', async (_what, claims) => {
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
    expect(await session.verify(token)).toEqual({ type: 'invalid' });
  });
});

describe('any text', () => {
  const part = fc.oneof(
    fc.string({ maxLength: 40, unit: 'binary' }),
    fc.jsonValue().map((value) => encode(value)),
    fc
      .record(
        {
          alg: fc.constantFrom('HS256', 'none', 'RS256', 1),
          crit: fc.jsonValue(),
          b64: fc.boolean(),
        },
        { requiredKeys: [] },
      )
      .map((header) => encode(header)),
  );

  it('is refused without a fault', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), async (parts) => {
        expect(await session.verify(parts.join('.'))).toEqual({ type: 'invalid' });
        expect(await roaming.verify(parts.join('.'))).toEqual({ type: 'invalid' });
      }),
    );
  });
});

describe('roaming tokens', () => {
  // [SBP-L3-02]
  it('is a compact JWT with exactly the header and claims of the contract', async () => {
    const claims = roamingClaims();
    const token = await roaming.issue(claims);
    const [header, payload] = token.split('.');
    expect(header).toBe(Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url'));
    expect(decode(payload)).toEqual(claims);
    expect(await roaming.verify(token)).toEqual({ type: 'valid', claims, signer: 'secret' });
  });

  it('is expired after its time, and still says what it was for', async () => {
    const claims = roamingClaims(60, now() - 61);
    expect(await roaming.verify(await roaming.issue(claims))).toEqual({
      ...{ type: 'expired', claims, signer: 'secret' },
    });
  });

  it('is no longer than seven days valid, whatever it says', async () => {
    expect((await roaming.verify(await roaming.issue(roamingClaims(604_800)))).type).toBe('valid');
    expect((await roaming.verify(await roaming.issue(roamingClaims(604_801)))).type).toBe(
      'invalid',
    );
  });

  // [SBP-L3-04]
  it('does not pass for a session token, nor a session token for it', async () => {
    expect(await session.verify(await roaming.issue(roamingClaims()))).toEqual({ type: 'invalid' });
    expect(await roaming.verify((await session.issue(sid, 0)).token)).toEqual({ type: 'invalid' });
    const both = await new SignJWT({ ...roamingClaims(), use: 'session' })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret);
    expect(await roaming.verify(both)).toEqual({ type: 'invalid' });
  });

  it('refuses forged and damaged tokens', async () => {
    const token = await roaming.issue(roamingClaims());
    expect((await new RoamingTokens(randomBytes(32), noKeys, nobody).verify(token)).type).toBe(
      'invalid',
    );
    expect((await roaming.verify(token.slice(0, -4))).type).toBe('invalid');
    expect((await roaming.verify('')).type).toBe('invalid');
  });
});
