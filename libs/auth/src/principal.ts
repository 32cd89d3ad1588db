import { ANONYMOUS_PRINCIPAL, LIMITS } from '#libs/protocol';

/**
 * What a principal may do: a user everything with what is his own; an operator looks at how the
 * server does (metrics, audit, usage, any session's metadata), and does nothing else.
 */
export const ROLES = ['user', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** Who was authenticated. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

/** Begins the names of those who have nothing but a session's token. */
const BY_TOKEN = 'session:';

/** As whom somebody acts who has nothing but a session's token: he owns no session. */
export function holderOfToken(sessionId: string): string {
  return `${BY_TOKEN}${sessionId}`;
}

/** Why a text cannot name a principal; null if it can. */
export function principalProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name === '') return 'is missing';
  if (name.length > LIMITS.principal) return `has more than ${LIMITS.principal} characters`;
  if (/\p{Cc}/u.test(name)) return 'has control characters';
  if (name === ANONYMOUS_PRINCIPAL || name.startsWith(BY_TOKEN)) {
    return `must not be ${ANONYMOUS_PRINCIPAL} or begin with ${BY_TOKEN}: the server uses those`;
  }
  return null;
}
