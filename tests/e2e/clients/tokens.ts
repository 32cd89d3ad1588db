import { createHmac, randomUUID } from 'node:crypto';
import { SECRET } from '../topology/settings.js';

const DAY = 24 * 60 * 60;

interface TokenParts {
  readonly header: unknown;
  readonly claims: unknown;
}

const HS256 = { alg: 'HS256', typ: 'JWT' };

/** A compact JWT, signed with any secret as HS256 does it, whatever its header says. */
export function signed(claims: object, secret: string, header: object = HS256): string {
  const content = `${part(header)}.${part(claims)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

/** The same without a signature. */
export function unsigned(claims: object): string {
  return `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`;
}

/** A part of a compact JWT before its signature. */
export function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function sessionClaims(sessionId: string, expiresIn: number): Readonly<Record<string, unknown>> {
  const now = Math.floor(Date.now() / 1000);
  return {
    sid: sessionId,
    use: 'session',
    iat: now - 2 * DAY,
    exp: now + expiresIn,
    jti: randomUUID(),
  };
}

/** Texts that are no valid credential for a session, each by what is wrong with it. */
export function worthlessTokens(sessionId: string): Readonly<Record<string, string>> {
  const lasting = sessionClaims(sessionId, DAY);
  return {
    'is no token at all': 'let-me-in',
    'is signed with another secret': signed(lasting, 'not-the-secret-of-this-server'),
    'is not signed': unsigned(lasting),
    'has expired': expiredTokenFor(sessionId),
    'was made for another use': signed({ ...lasting, use: undefined }, SECRET),
  };
}

/** A valid token of a session that may not exist. */
export function tokenFor(sessionId: string): string {
  return signed(sessionClaims(sessionId, DAY), SECRET);
}

/** A token of a session that was good until yesterday. */
export function expiredTokenFor(sessionId: string): string {
  return signed(sessionClaims(sessionId, -DAY), SECRET);
}

/** Header and claims of a compact JWT that this server signed. */
export function opened(token: string): TokenParts {
  const [header = '', claims = '', signature] = token.split('.');
  const expected = createHmac('sha256', SECRET).update(`${header}.${claims}`).digest('base64url');
  if (signature !== expected)
    throw new Error('the token is not signed with the secret of the server');
  const read = (text: string): unknown => JSON.parse(Buffer.from(text, 'base64url').toString());
  return { header: read(header), claims: read(claims) };
}
