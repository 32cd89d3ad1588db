/** The services that stand behind the one address. */
export const SERVICE_KINDS = ['completions', 'sessions', 'gateway', 'roaming'] as const;
export type ServiceKind = (typeof SERVICE_KINDS)[number];

const ROAMING = /^\/v1\/sbp\/sessions\/[^/]+\/export$/;

/**
 * Which service answers a path, given without its query. What nobody knows goes to completions,
 * which says 404.
 */
export function serviceOf(pathname: string): ServiceKind {
  if (pathname.startsWith('/v1/sbp/ws/')) return 'gateway';
  if (ROAMING.test(pathname)) return 'roaming';
  if (pathname.startsWith('/v1/sbp/') || pathname === '/health' || pathname.startsWith('/health/'))
    return 'sessions';
  return 'completions';
}
