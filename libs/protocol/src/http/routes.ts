/** The services that an installation is made of. */
export const SERVICES = [
  'completions',
  'sessions',
  'gateway',
  'roaming',
  'audit',
  'analytics',
] as const;
export type ServiceName = (typeof SERVICES)[number];

export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'ALL';
  /**
   * With parameters in braces, each one segment: `/v1/sbp/sessions/{session_id}`; `{*path}` at the
   * end is all that follows.
   */
  readonly path: string;
  /** Who answers it; `all`: every service, about itself. */
  readonly service: ServiceName | 'all';
}

/** The rest of the model's API, which is passed on: what `isModelPath` says. */
const MODEL_ROUTE: Route = { method: 'ALL', path: '/v1/{*path}', service: 'completions' };

/**
 * Every route of the HTTP API, WebSocket upgrades included, with the service that answers it: what
 * proxies in front of the services choose by, and what the controllers are checked against.
 */
export const ROUTES: readonly Route[] = [
  { method: 'POST', path: '/v1/chat/completions', service: 'completions' },
  MODEL_ROUTE,
  { method: 'GET', path: '/v1/sbp/sessions', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}', service: 'sessions' },
  { method: 'PATCH', path: '/v1/sbp/sessions/{session_id}/status', service: 'sessions' },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/token', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/messages', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/turns', service: 'sessions' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/turns/{turn_id}', service: 'sessions' },
  {
    method: 'GET',
    path: '/v1/sbp/sessions/{session_id}/turns/{turn_id}/stream',
    service: 'completions',
  },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/snapshots', service: 'sessions' },
  {
    method: 'GET',
    path: '/v1/sbp/sessions/{session_id}/snapshots/{snapshot_id}',
    service: 'sessions',
  },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/cancel', service: 'completions' },
  {
    method: 'POST',
    path: '/v1/sbp/sessions/{session_id}/approvals/{call_id}',
    service: 'completions',
  },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/export', service: 'roaming' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/exports', service: 'roaming' },
  { method: 'DELETE', path: '/v1/sbp/exports/{export_id}', service: 'roaming' },
  { method: 'GET', path: '/v1/sbp/token/{roaming_token}', service: 'roaming' },
  { method: 'GET', path: '/v1/sbp/bundles/{cid}', service: 'roaming' },
  { method: 'POST', path: '/v1/sbp/bundles/{cid}/consume', service: 'roaming' },
  { method: 'GET', path: '/.well-known/sbp', service: 'roaming' },
  { method: 'GET', path: '/.well-known/jwks.json', service: 'roaming' },
  { method: 'POST', path: '/v1/sbp/sessions/import', service: 'roaming' },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/handoff', service: 'roaming' },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/fork', service: 'roaming' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/lineage', service: 'roaming' },
  { method: 'POST', path: '/v1/sbp/sessions/{session_id}/mcp', service: 'gateway' },
  { method: 'GET', path: '/v1/sbp/sessions/{session_id}/mcp', service: 'gateway' },
  { method: 'DELETE', path: '/v1/sbp/sessions/{session_id}/mcp', service: 'gateway' },
  { method: 'GET', path: '/v1/sbp/ws/{session_id}', service: 'gateway' },
  { method: 'GET', path: '/v1/sbp/audit', service: 'audit' },
  { method: 'GET', path: '/v1/sbp/analytics/usage', service: 'analytics' },
  { method: 'GET', path: '/health', service: 'all' },
  { method: 'GET', path: '/health/live', service: 'all' },
  { method: 'GET', path: '/health/ready', service: 'all' },
  { method: 'GET', path: '/openapi.json', service: 'all' },
  { method: 'GET', path: '/docs', service: 'all' },
  { method: 'GET', path: '/docs/{file}', service: 'all' },
  { method: 'GET', path: '/metrics', service: 'all' },
];

interface Pattern extends Route {
  readonly segments: readonly string[];
}

/** Those with fewer parameters first: `/sessions/import` before `/sessions/{session_id}`. */
const PATTERNS: readonly Pattern[] = ROUTES.filter((route) => route !== MODEL_ROUTE)
  .map((route) => ({ ...route, segments: route.path.split('/') }))
  .sort((a, b) => parametersOf(a) - parametersOf(b));

/**
 * The route that a request takes, by its path without the query; null where there is none. A path
 * that exists, asked with a method that does not, takes the path's route, so that its service says
 * what is wrong.
 */
export function routeOf(method: string, pathname: string): Route | null {
  const segments = pathname.split('/');
  const fitting = PATTERNS.filter((pattern) => fits(pattern, segments));
  const asked = method === 'HEAD' ? 'GET' : method;
  const route = fitting.find((pattern) => pattern.method === asked) ?? fitting[0];
  return route ?? (isModelPath(pathname) ? MODEL_ROUTE : null);
}

/**
 * Whether a path, without its query, belongs to the model's API and not to ours: it is below
 * `/v1/`, neither below `/v1/sbp/` nor `/v1/chat/completions` itself. A path that could lead out of
 * the model's base URL, such as `/v1/../x`, is none, however it is encoded.
 */
export function isModelPath(pathname: string): boolean {
  const path = decoded(pathname);
  if (path === null || !/^\/v1\/[^/]/.test(path) || LEADS_OUT.test(path)) return false;
  return path !== '/v1/chat/completions' && !/^\/v1\/sbp(?:\/|$)/.test(path);
}

const LEADS_OUT = /(?:^|[/\\])\.{1,2}(?:[/\\]|$)/;

/** Decoded as often as it can be, because servers differ in that; null where it cannot once. */
function decoded(path: string): string | null {
  let text: string | null = null;
  for (let next = path; next !== text;) {
    text = next;
    try {
      next = decodeURIComponent(text);
    } catch {
      return text === path ? null : text;
    }
  }
  return text;
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
