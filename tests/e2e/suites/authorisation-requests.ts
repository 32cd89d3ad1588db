import type { Route } from '#libs/protocol';

/** What a request is about: a session, a turn, an export of its owner. */
interface Thing {
  readonly sessionId: string;
  readonly turnId: string;
  readonly roamingToken: string;
  readonly exportId: string;
  readonly bundleCid: string;
  readonly snapshotId: string;
}

/** How a route is asked, and who is to be told what. */
interface Asked {
  readonly needs: 'nothing' | 'a roaming token' | 'its session' | 'a user' | 'an operator';
  readonly request: (of: Thing) => { readonly path: string; readonly init: RequestInit };
  /** The status that its owner is answered with. */
  readonly ok: number;
  /** Whether the answer is a stream that stays open. */
  readonly isEndless: boolean;
  /** What others get: a status where they are served with what is theirs, else an error's code. */
  readonly told: Readonly<Record<'revoked' | 'foreign' | 'bob' | 'operator', unknown>>;
}

/** Of a session: another principal is not told that it is there. */
const OF_SESSION = {
  revoked: 'SBP_UNAUTHORIZED',
  foreign: 'SBP_FORBIDDEN',
  bob: 'SBP_SESSION_NOT_FOUND',
  operator: 'SBP_FORBIDDEN',
} as const;

/** Of no session: a user is served with what is his; a token permits its session alone. */
const OF_USER = { ...OF_SESSION, revoked: 'SBP_FORBIDDEN' } as const;

/** What only operators see: everybody's. */
const OF_OPERATORS = {
  revoked: 'SBP_UNAUTHORIZED',
  foreign: 'SBP_UNAUTHORIZED',
  bob: 'SBP_FORBIDDEN',
  operator: '200',
} as const;

const TOLD = {
  nothing: {},
  'a roaming token': {},
  'its session': OF_SESSION,
  'a user': OF_USER,
  'an operator': OF_OPERATORS,
} as const;

type Row = Pick<Asked, 'needs' | 'ok'> & {
  readonly body?: (of: Thing) => unknown;
  readonly told?: Partial<Asked['told']>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isEndless?: boolean;
};

const session = (ok = 200, body?: Row['body'], told: Row['told'] = {}): Row => {
  return { needs: 'its session', ok, told, ...(body === undefined ? {} : { body }) };
};

const MCP_CALL = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
const MCP_HEADERS = {
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-06-18',
};
const OPEN: Row = { needs: 'nothing', ok: 200 };
const messages = [{ role: 'user', content: 'Tell me what was said.' }];

/** One row for each route of the table: a route without one fails the suite. */
const ROWS: Readonly<Record<string, Row>> = {
  'POST /v1/chat/completions': session(200, ({ sessionId }) => {
    return { model: 'm', messages, sbp: { session_id: sessionId } };
  }),
  'ALL /v1/{*path}': {
    ...{ needs: 'a user', ok: 200 },
    told: { revoked: 'SBP_UNAUTHORIZED', foreign: 'SBP_UNAUTHORIZED', bob: '200' },
  },
  'GET /v1/sbp/sessions': {
    ...{ needs: 'a user', ok: 200 },
    told: { bob: '200', operator: 'SBP_INVALID_REQUEST' },
  },
  'GET /v1/sbp/sessions/{session_id}': session(200, undefined, { operator: '200' }),
  'PATCH /v1/sbp/sessions/{session_id}/status': session(200, () => ({ status: 'completed' })),
  'POST /v1/sbp/sessions/{session_id}/token': session(201, () => ({})),
  'GET /v1/sbp/sessions/{session_id}/messages': session(),
  'GET /v1/sbp/sessions/{session_id}/turns': session(),
  'GET /v1/sbp/sessions/{session_id}/turns/{turn_id}': session(),
  'GET /v1/sbp/sessions/{session_id}/turns/{turn_id}/stream': session(),
  'GET /v1/sbp/sessions/{session_id}/snapshots': session(),
  'GET /v1/sbp/sessions/{session_id}/snapshots/{snapshot_id}': session(),
  // Nothing runs, and no call waits: its owner is told that.
  'POST /v1/sbp/sessions/{session_id}/cancel': session(409, () => ({})),
  'POST /v1/sbp/sessions/{session_id}/approvals/{call_id}': session(404, () => {
    return { approve: true };
  }),
  'POST /v1/sbp/sessions/{session_id}/export': session(201, () => ({})),
  'GET /v1/sbp/sessions/{session_id}/exports': session(),
  // That there is such an export is told to nobody else.
  'DELETE /v1/sbp/exports/{export_id}': session(204, undefined, {
    foreign: 'SBP_SESSION_NOT_FOUND',
  }),
  'GET /v1/sbp/token/{roaming_token}': { needs: 'a roaming token', ok: 200 },
  'GET /v1/sbp/bundles/{cid}': { needs: 'a roaming token', ok: 200 },
  'POST /v1/sbp/bundles/{cid}/consume': {
    ...{ needs: 'a roaming token', ok: 200 },
    body: () => ({ import_id: crypto.randomUUID() }),
  },
  'GET /.well-known/sbp': OPEN,
  'GET /.well-known/jwks.json': OPEN,
  'POST /v1/sbp/sessions/import': {
    ...{ needs: 'a user', ok: 201 },
    body: ({ roamingToken }) => {
      return { roaming_token: roamingToken, target_agent_id: 'a', allow_reuse: true };
    },
    told: { bob: '201' },
  },
  'POST /v1/sbp/sessions/{session_id}/handoff': session(201, () => ({ to_agent_id: 'next' })),
  'POST /v1/sbp/sessions/{session_id}/fork': session(201, () => ({})),
  'GET /v1/sbp/sessions/{session_id}/lineage': session(),
  'POST /v1/sbp/sessions/{session_id}/mcp': {
    ...session(200, () => MCP_CALL),
    headers: MCP_HEADERS,
  },
  'GET /v1/sbp/sessions/{session_id}/mcp': {
    ...session(200),
    headers: MCP_HEADERS,
    isEndless: true,
  },
  'DELETE /v1/sbp/sessions/{session_id}/mcp': { ...session(405), headers: MCP_HEADERS },
  'GET /v1/sbp/audit': { needs: 'an operator', ok: 200 },
  'GET /v1/sbp/analytics/usage': { needs: 'an operator', ok: 200 },
  'GET /health': OPEN,
  'GET /health/live': OPEN,
  'GET /health/ready': OPEN,
  'GET /openapi.json': OPEN,
  'GET /docs': OPEN,
  'GET /docs/{file}': OPEN,
  'GET /metrics': { needs: 'an operator', ok: 200 },
};

/** Surfaces say who they are in their first frame: see the tests of surfaces. */
export const BY_FRAME = 'GET /v1/sbp/ws/{session_id}';

export const MODEL_PATHS = [
  ['POST', '/v1/chat/completions'],
  ['GET', '/v1/models'],
] as const;

export function requestsOf({ method, path }: Route): Asked {
  const row = ROWS[`${method} ${path}`];
  if (row === undefined) throw new Error(`${method} ${path} has no row: say who may ask it`);
  const { needs, ok, body, headers = {}, told = {}, isEndless = false } = row;
  return {
    needs,
    ok,
    isEndless,
    told: { ...TOLD[needs], ...told } as Asked['told'],
    request: (of) => ({
      path: filled(path, of),
      init: {
        method: method === 'ALL' ? 'GET' : method,
        headers: {
          ...headers,
          ...(needs === 'a roaming token' ? { authorization: `Bearer ${of.roamingToken}` } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body(of)) }),
      },
    }),
  };
}

function filled(path: string, of: Thing): string {
  return path
    .replace('{*path}', 'models')
    .replace('{session_id}', of.sessionId)
    .replace('{turn_id}', of.turnId)
    .replace('{snapshot_id}', of.snapshotId)
    .replace('{call_id}', crypto.randomUUID())
    .replace('{roaming_token}', of.roamingToken)
    .replace('{file}', 'swagger-ui.css')
    .replace('{export_id}', of.exportId)
    .replace('{cid}', of.bundleCid);
}
