import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { RoamingClaims } from '#libs/protocol';
import { ExportResponse, ImportResponse, SessionsResponse, TokenInspection } from '#libs/protocol';
import type { Answer } from '../clients/agent.js';
import { Agent } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { opened, part, signed, unsigned } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';
import { SECRET } from '../topology/settings.js';

const DAY_S = 24 * 60 * 60;

/** A token of a real export, and what a forger would make of it. */
interface Real {
  readonly token: string;
  readonly claims: RoamingClaims;
}

const now = (): number => Math.floor(Date.now() / 1000);

/** The claims of the token, with others among them, under its own signature. */
function changed({ token, claims }: Real, others: Partial<RoamingClaims>): string {
  const [header = '', , signature = ''] = token.split('.');
  return `${header}.${part({ ...claims, ...others })}.${signature}`;
}

/** Signed with a key pair of the forger's own, whatever the header says of it. */
function byOwnKey(alg: 'EdDSA' | 'ES256', claims: RoamingClaims, header: object = {}): string {
  const content = `${part({ alg, typ: 'JWT', kid: randomUUID(), ...header })}.${part(claims)}`;
  const key =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519').privateKey
      : { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, dsaEncoding };
  const digest = alg === 'EdDSA' ? null : 'sha256';
  return `${content}.${sign(digest, Buffer.from(content), key).toString('base64url')}`;
}
const dsaEncoding = 'ieee-p1363' as const;

/** By the secret of the server, with a header that says something else. */
function bySecret(claims: RoamingClaims, header: object): string {
  return signed(claims, SECRET, { typ: 'JWT', ...header });
}

const INVALID = [422, 'SBP_TOKEN_INVALID'] as const;
const EXPIRED = [410, 'SBP_TOKEN_EXPIRED'] as const;
const INTEGRITY = [422, 'SBP_TOKEN_INTEGRITY'] as const;

type Forgery = readonly [
  what: string,
  forge: (real: Real) => string,
  told: readonly [number, string],
];

const FORGERIES: readonly Forgery[] = [
  // What only the server can have signed, and what does not hold all the same.
  ['that has expired', ({ claims }) => aged(claims, -1), EXPIRED],
  ['that expired long ago', ({ claims }) => aged(claims, -30 * DAY_S), EXPIRED],
  ['from the future', ({ claims }) => shifted(claims, 3_600), INVALID],
  ['that lives for more than seven days', ({ claims }) => aged(claims, 8 * DAY_S), INVALID],
  ['for another use', ({ claims }) => signed({ ...claims, use: 'session' }, SECRET), INVALID],
  ['of another session', ({ claims }) => mine(claims, { sid: randomUUID() }), INVALID],
  ['of an export that is not there', ({ claims }) => mine(claims, { sub: randomUUID() }), INVALID],
  ['without a claim', ({ claims: { cid: _cid, ...rest } }) => signed(rest, SECRET), INVALID],
  ['of times that are none', ({ claims }) => mine(claims, { iat: -9e15, exp: -9e15 }), INVALID],
  [
    'of another issuer, whose export is not there',
    ({ claims }) => mine(claims, { iss: 'https://nobody.example', sub: randomUUID() }),
    INVALID,
  ],
  ['of another bundle', ({ claims }) => mine(claims, { cid: 'a'.repeat(64) }), INTEGRITY],
  // What anybody can make.
  ['without a signature', ({ claims }) => unsigned(claims), INVALID],
  ['with alg none, and a signature', ({ token }) => withHeader(token, { alg: 'none' }), INVALID],
  ['with alg NONE', ({ claims }) => `${part({ alg: 'NONE' })}.${part(claims)}.`, INVALID],
  ['signed with another secret', ({ claims }) => signed(claims, 'another-secret-of-mine'), INVALID],
  ['signed with no secret', ({ claims }) => signed(claims, '\0'), INVALID],
  ['with a changed signature', ({ token }) => flipped(token), INVALID],
  ['with its signature cut', ({ token }) => token.slice(0, -4), INVALID],
  ['that names another export', (real) => changed(real, { sub: randomUUID() }), INVALID],
  ['that names another session', (real) => changed(real, { sid: randomUUID() }), INVALID],
  ['that lives longer', (real) => changed(real, { exp: real.claims.exp + 1 }), INVALID],
  ['of another server', (real) => changed(real, { iss: 'https://evil.example' }), INVALID],
  ['by a key pair of one’s own', ({ claims }) => byOwnKey('EdDSA', claims), INVALID],
  ['by a key pair of another kind', ({ claims }) => byOwnKey('ES256', claims), INVALID],
  [
    'that brings its own key',
    ({ claims }) => byOwnKey('EdDSA', claims, { jwk: { kty: 'OKP' }, jku: 'https://evil.example' }),
    INVALID,
  ],
  // The wrong kind of key for what the header says.
  ['by the secret as if by a key', ({ claims }) => bySecret(claims, { alg: 'EdDSA' }), INVALID],
  [
    'by the secret as if by a key that is named',
    ({ claims }) => bySecret(claims, { alg: 'ES256', kid: randomUUID() }),
    INVALID,
  ],
  ['by the secret as HS512', ({ claims }) => bySecret(claims, { alg: 'HS512' }), INVALID],
  ['by a key as if by the secret', ({ claims }) => asSecret(byOwnKey('EdDSA', claims)), INVALID],
  ['that is no token', () => 'let-me-in', INVALID],
];

const mine = (claims: RoamingClaims, others: Partial<RoamingClaims>): string =>
  signed({ ...claims, ...others }, SECRET);

/** As of a while ago, to end in so many seconds. */
const aged = (claims: RoamingClaims, left: number): string =>
  mine(claims, { iat: now() - DAY_S + Math.min(left, 0), exp: now() + left });

const shifted = (claims: RoamingClaims, by: number): string =>
  mine(claims, { iat: now() + by, exp: now() + by + 3_600 });

function withHeader(token: string, header: object): string {
  return [part({ typ: 'JWT', ...header }), ...token.split('.').slice(1)].join('.');
}

function asSecret(token: string): string {
  return withHeader(token, { alg: 'HS256' });
}

/** With one bit of the signature changed that counts. */
function flipped(token: string): string {
  const [header, claims, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  return [header, claims, bytes.toString('base64url')].join('.');
}

/** Roaming tokens that are not what a server of ours gave out: nothing comes of them, anywhere. */
export function roamingTokens(server: GetServer): void {
  const told = ({ status, json }: Answer) => [status, Failure.parse(json).error.code] as const;

  async function real(): Promise<{ readonly agent: Agent; readonly made: Real }> {
    const agent = new Agent(server().url);
    const { sbp } = await agent.turn('Hello.');
    const { json } = await agent.export(sbp.session_id, {});
    const { roaming_token: token } = ExportResponse.parse(json);
    return { agent, made: { token, claims: opened(token).claims as RoamingClaims } };
  }

  // [SBP-L3-04] [SBP-L3-20] [SBP-L6-03]
  describe('§5 a roaming token', () => {
    it.each(FORGERIES)('%s is refused, and the real one works', async (_what, forge, expected) => {
      const { agent, made } = await real();
      const forged = forge(made);
      expect(forged).not.toBe(made.token);
      const thief = new Agent(server().url);
      for (const allow_reuse of [false, true]) {
        const body = { roaming_token: forged, target_agent_id: thief.id, allow_reuse };
        const answer = await thief.send('sessions/import', body);
        expect(told(answer), answer.text).toEqual(expected);
      }
      const list = await thief.get(`sessions?agent_id=${thief.id}`);
      expect(SessionsResponse.parse(list.json).sessions).toEqual([]);
      const left = await agent.get(`token/${made.token}`);
      expect(TokenInspection.parse(left.json)).toMatchObject({ consumed: false });
      const own = { roaming_token: made.token, target_agent_id: thief.id };
      const imported = await agent.send('sessions/import', own);
      expect(imported.status, imported.text).toBe(201);
      expect(ImportResponse.parse(imported.json).provenance.session_id).toBe(made.claims.sid);
    });

    it.each(FORGERIES)(
      '%s shows nothing, and fetches and uses nothing',
      async (what, forge, expected) => {
        const { agent, made } = await real();
        const forged = forge(made);
        const authorization = `Bearer ${forged}`;
        const at = `bundles/${made.claims.cid}`;
        // That the bundle is another one than the path's is told before it is read.
        const isOther = what === 'of another bundle';
        const [status, code] = isOther ? INVALID : expected;
        expect(told(await agent.get(at, { authorization }))).toEqual([status, code]);
        if (!isOther) expect(told(await agent.get(`token/${forged}`))).toEqual(expected);
        const use = { import_id: randomUUID() };
        // An import that began in time may use the export as long as that has not expired itself.
        if (expected !== EXPIRED) {
          const used = await agent.send(`${at}/consume`, use, { authorization });
          expect(told(used)).toEqual([status, code]);
        }
        const left = await agent.get(`token/${made.token}`);
        expect(TokenInspection.parse(left.json)).toMatchObject({ consumed: false });
      },
    );
  });
}
