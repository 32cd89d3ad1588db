import { createSecretKey, KeyObject } from 'node:crypto';
import { createRemoteJWKSet, decodeProtectedHeader, errors } from 'jose';
import { ExtractJwt, Strategy } from 'passport-jwt';
import type { StrategyOptions } from 'passport-jwt';
import type { Principal, Role } from './principal.js';
import { ROLES, principalProblem } from './principal.js';

/** Who signs the JWTs that name principals. */
export interface JwtIssuer {
  readonly key:
    | { readonly type: 'secret'; readonly secret: string }
    /** A key set (RFC 7517) at a URL. */
    | { readonly type: 'jwks'; readonly url: string };
  /** What `iss` and `aud` must be; null where they are not looked at. */
  readonly issuer: string | null;
  readonly audience: string | null;
}

export type JwtVerdict =
  | { readonly type: 'valid'; readonly principal: Principal }
  | { readonly type: 'expired' }
  | { readonly type: 'invalid'; readonly problem: string }
  /** The key set cannot be had. */
  | { readonly type: 'unavailable'; readonly cause: unknown };

/** Of each kind of key only its own: a public key must never be taken for a shared secret. */
const ALGORITHMS = {
  secret: ['HS256'],
  jwks: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
} as const;

/** By how much clocks may differ, in seconds. */
const CLOCKS_S = 5;
const JWKS = { timeoutDuration: 5_000, cooldownDuration: 30_000, cacheMaxAge: 600_000 };

interface Claims {
  readonly sub?: unknown;
  readonly exp?: unknown;
  readonly sbp_role?: unknown;
}

type FindKey = (token: string) => KeyObject | Promise<KeyObject>;

/** Principals by JWTs of somebody else: `sub` names the principal, `sbp_role` his role. */
export class JwtBearer {
  private readonly strategy: Strategy;

  constructor({ key, issuer, audience }: JwtIssuer) {
    const find = key.type === 'secret' ? bySecret(key.secret) : byKeySet(key.url);
    const options: StrategyOptions = {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      algorithms: [...ALGORITHMS[key.type]],
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else takes a tolerance
      jsonWebTokenOptions: { clockTolerance: CLOCKS_S },
      ...(issuer === null ? {} : { issuer }),
      ...(audience === null ? {} : { audience }),
      secretOrKeyProvider: (_request: unknown, token: string, done) => {
        Promise.resolve()
          .then(() => find(token))
          .then(
            (found) => done(null, found as unknown as string),
            (error: unknown) => done(error),
          );
      },
    };
    this.strategy = new Strategy(options, (claims: Claims, done) => done(null, claims));
  }

  /** Never rejects for what the token is. */
  async verify(token: string): Promise<JwtVerdict> {
    const answered = Promise.withResolvers<JwtVerdict>();
    // Passport gives each request an object of its own that inherits from the strategy.
    const asked = Object.create(this.strategy) as Strategy;
    asked.success = (claims: Claims) => answered.resolve(verdictOf(claims));
    asked.fail = (problem: unknown) => answered.resolve(failure(problem));
    asked.error = (error: unknown) => answered.resolve({ type: 'unavailable', cause: error });
    const request = { headers: { authorization: `Bearer ${token}` } };
    asked.authenticate(request as Parameters<Strategy['authenticate']>[0]);
    return answered.promise;
  }
}

function bySecret(secret: string): FindKey {
  const key = createSecretKey(Buffer.from(secret, 'utf8'));
  return () => key;
}

function byKeySet(url: string): FindKey {
  const keys = createRemoteJWKSet(new URL(url), JWKS);
  return async (token) => KeyObject.from(await keys(headerOf(token)));
}

/** @throws JWSInvalid */
function headerOf(token: string): ReturnType<typeof decodeProtectedHeader> {
  try {
    return decodeProtectedHeader(token);
  } catch (cause) {
    throw new errors.JWSInvalid('it has no header', { cause });
  }
}

function verdictOf({ sub, exp, sbp_role: role }: Claims): JwtVerdict {
  if (typeof exp !== 'number') return { type: 'invalid', problem: 'has no exp' };
  const problem = principalProblem(sub);
  if (problem !== null || typeof sub !== 'string') {
    return { type: 'invalid', problem: `its sub ${problem ?? 'is no text'}` };
  }
  if (role !== undefined && !isRole(role)) {
    return { type: 'invalid', problem: `its sbp_role must be one of ${ROLES.join(', ')}` };
  }
  return { type: 'valid', principal: { name: sub, role: role ?? 'user' } };
}

function isRole(role: unknown): role is Role {
  return ROLES.some((known) => known === role);
}

function failure(problem: unknown): JwtVerdict {
  if (!(problem instanceof Error)) return { type: 'invalid', problem: 'cannot be verified' };
  if (problem.name === 'TokenExpiredError') return { type: 'expired' };
  if (problem.name === 'JsonWebTokenError' || problem.name === 'NotBeforeError') {
    return { type: 'invalid', problem: `cannot be verified: ${problem.message}` };
  }
  const isOfToken =
    problem instanceof errors.JWKSNoMatchingKey ||
    problem instanceof errors.JWKSMultipleMatchingKeys ||
    problem instanceof errors.JOSENotSupported ||
    problem instanceof errors.JWSInvalid;
  return isOfToken
    ? { type: 'invalid', problem: 'is signed by no key that is trusted' }
    : { type: 'unavailable', cause: problem };
}
