/** The services that an installation is made of. */
export const SERVICES = ['completions', 'sessions', 'gateway', 'roaming'] as const;
export type ServiceName = (typeof SERVICES)[number];

export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With parameters in braces, each one segment: `/v1/sbp/sessions/{session_id}`. */
  readonly path: string;
  /** Who answers it; `all`: every service, about itself. */
  readonly service: ServiceName | 'all';
}

/**
 * Every route of the HTTP API, WebSocket upgrades included, with the service that answers it: what
 * proxies in front of the services choose by, and what the controllers are checked against.
 */
export const ROUTES: readonly Route[] = [
  { method: 'POST', path: '/v1/chat/completions', service: 'completions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/messages', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/turns', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/turns/{turn_id}', service: 'sessions' },
  {
    method: 'GET',
    path: '/v1/sbp/sessions/{session_id}/turns/{turn_id}/stream',
    service: 'completions',
  },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/cancel', service: 'completions' },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/export', service: 'roaming' },
  { method: 'GET', path: '/v1/sbp/ws/{session_id}', service: 'gateway' },
  { method: 'GET', path: '/health', service: 'all' },
  { method: 'GET', path: '/health/live', service: 'all' },
  { method: 'GET', path: '/health/ready', service: 'all' },
];

interface Pattern extends Route {
  readonly segments: readonly string[];
}

/** Those with fewer parameters first: `/sessions/import` before `/sessions/{session_id}`. */
const PATTERNS: readonly Pattern[] = ROUTES.map((route) => ({
  ...route,
  segments: route.path.split('/'),
})).sort((a, b) => parametersOf(a) - parametersOf(b));

/**
 * The route that a request takes, by its path without the query; null where there is none. A path
 * that exists, asked with a method that does not, takes the path's route, so that its service says
 * what is wrong.
 */
export function routeOf(method: string, pathname: string): Route | null {
  const segments = pathname.split('/');
  const fitting = PATTERNS.filter((pattern) => fits(pattern, segments));
  const asked = method === 'HEAD' ? 'GET' : method;
  return fitting.find((pattern) => pattern.method === asked) ?? fitting[0] ?? null;
}

function fits({ segments: wanted }: Pattern, segments: readonly string[]): boolean {
  return (
    wanted.length === segments.length &&
    wanted.every((segment, index) => {
      const given = segments[index] ?? '';
      return isParameter(segment) ? given !== '' : segment === given;
    })
  );
}

function parametersOf({ segments }: Pattern): number {
  return segments.filter(isParameter).length;
}

function isParameter(segment: string): boolean {
  return segment.startsWith('{');
}
