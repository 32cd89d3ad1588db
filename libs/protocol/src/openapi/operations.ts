import type { z } from 'zod';
import { ApprovalRequest, ApprovalResponse } from '../http/approvals.js';
import { AuditQuery, AuditResponse } from '../http/audit.js';
import { CompletionRequest } from '../http/completions.js';
import {
  Bundle,
  ConsumeRequest,
  ConsumeResponse,
  ExportRequest,
  ExportResponse,
  ExportsQuery,
  ExportsResponse,
  ForkRequest,
  ForkResponse,
  HandoffRequest,
  HandoffResponse,
  ImportRequest,
  ImportResponse,
  LineageResponse,
  ServerManifest,
  TokenInspection,
} from '../http/roaming.js';
import {
  MessagesQuery,
  MessagesResponse,
  SessionResponse,
  SessionsQuery,
  SessionsResponse,
  StatusRequest,
  TokenRequest,
  TokenResponse,
} from '../http/sessions.js';
import { SnapshotResponse, SnapshotsQuery, SnapshotsResponse } from '../http/snapshots.js';
import {
  CancelRequest,
  CancelResponse,
  TurnResponse,
  TurnsQuery,
  TurnsResponse,
} from '../http/turns.js';
import { UsageQuery, UsageResponse } from '../http/usage.js';

/** Who may ask, by which credential. */
export type Access = 'anybody' | 'roaming token' | 'session' | 'user' | 'operator';

/** What a route of the table does, for readers and for tools that are made from OpenAPI. */
export interface Operation {
  readonly summary: string;
  readonly access: Access;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** The status of success. */
  readonly status: number;
  /** Null where the answer is no JSON of ours. */
  readonly answer: z.ZodType | null;
}

const read = (summary: string, answer: z.ZodType | null, query?: z.ZodType): Operation => {
  return {
    summary,
    access: 'session',
    status: 200,
    answer,
    ...(query === undefined ? {} : { query }),
  };
};

const change = (
  summary: string,
  status: number,
  body: z.ZodType,
  answer: z.ZodType | null,
): Operation => ({ summary, access: 'session', status, body, answer });

const open = (summary: string, answer: z.ZodType | null = null): Operation => {
  return { summary, access: 'anybody', status: 200, answer };
};

/** By method and path, as the route table names them. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/chat/completions': change(
    'Run a turn: OpenAI’s Chat Completions, with an optional `sbp` object',
    200,
    CompletionRequest,
    null,
  ),
  'ALL /v1/{*path}': {
    ...{ summary: 'The rest of the model’s API, passed on', access: 'user' },
    ...{ status: 200, answer: null },
  },
  'GET /v1/sbp/sessions': {
    ...{ summary: 'List sessions, newest first', access: 'user', status: 200 },
    ...{ query: SessionsQuery, answer: SessionsResponse },
  },
  'GET /v1/sbp/sessions/{session_id}': read('One session', SessionResponse),
  'PATCH /v1/sbp/sessions/{session_id}/status': change(
    'Suspend, resume or finish a session',
    200,
    StatusRequest,
    SessionResponse,
  ),
  'POST /v1/sbp/sessions/{session_id}/token': change(
    'Renew its token, and revoke the earlier ones',
    201,
    TokenRequest,
    TokenResponse,
  ),
  'GET /v1/sbp/sessions/{session_id}/messages': read(
    'Its messages, oldest first',
    MessagesResponse,
    MessagesQuery,
  ),
  'GET /v1/sbp/sessions/{session_id}/turns': read('Its turns', TurnsResponse, TurnsQuery),
  'GET /v1/sbp/sessions/{session_id}/turns/{turn_id}': read('One turn', TurnResponse),
  'GET /v1/sbp/sessions/{session_id}/turns/{turn_id}/stream': read(
    'One turn as an event stream, from `Last-Event-ID` on',
    null,
  ),
  'GET /v1/sbp/sessions/{session_id}/snapshots': read(
    'Its snapshots',
    SnapshotsResponse,
    SnapshotsQuery,
  ),
  'GET /v1/sbp/sessions/{session_id}/snapshots/{snapshot_id}': read(
    'The session as it was',
    SnapshotResponse,
  ),
  'POST /v1/sbp/sessions/{session_id}/cancel': change(
    'Stop a turn, or withdraw one that waits',
    202,
    CancelRequest,
    CancelResponse,
  ),
  'POST /v1/sbp/sessions/{session_id}/approvals/{call_id}': change(
    'Allow or deny a call of a tool',
    202,
    ApprovalRequest,
    ApprovalResponse,
  ),
  'POST /v1/sbp/sessions/{session_id}/export': change(
    'Export the session: a token that imports it once',
    201,
    ExportRequest,
    ExportResponse,
  ),
  'GET /v1/sbp/sessions/{session_id}/exports': read('Its exports', ExportsResponse, ExportsQuery),
  'DELETE /v1/sbp/exports/{export_id}': {
    ...{ summary: 'Revoke an export that was not used', access: 'session' },
    ...{ status: 204, answer: null },
  },
  'GET /v1/sbp/token/{roaming_token}': {
    ...{ summary: 'Look at a roaming token, without using it', access: 'roaming token' },
    ...{ status: 200, answer: TokenInspection },
  },
  'GET /v1/sbp/bundles/{cid}': {
    ...{ summary: 'A bundle, for the server that imports it', access: 'roaming token' },
    ...{ status: 200, answer: Bundle },
  },
  'POST /v1/sbp/bundles/{cid}/consume': {
    ...{ summary: 'Use an export up, for one import', access: 'roaming token' },
    ...{ status: 200, body: ConsumeRequest, answer: ConsumeResponse },
  },
  'GET /.well-known/sbp': open('What this server is to other servers', ServerManifest),
  'GET /.well-known/jwks.json': open('The keys that sign its roaming tokens'),
  'POST /v1/sbp/sessions/import': {
    ...{ summary: 'Import an export as a session of one’s own', access: 'user', status: 201 },
    ...{ body: ImportRequest, answer: ImportResponse },
  },
  'POST /v1/sbp/sessions/{session_id}/handoff': change(
    'Hand the session over to another agent',
    201,
    HandoffRequest,
    HandoffResponse,
  ),
  'POST /v1/sbp/sessions/{session_id}/fork': change(
    'Branch the session at its head, a step or a snapshot',
    201,
    ForkRequest,
    ForkResponse,
  ),
  'GET /v1/sbp/sessions/{session_id}/lineage': read('Where it came from and went', LineageResponse),
  'POST /v1/sbp/sessions/{session_id}/mcp': read('MCP: the tools of its device', null),
  'GET /v1/sbp/sessions/{session_id}/mcp': read('MCP: the stream of changes', null),
  'DELETE /v1/sbp/sessions/{session_id}/mcp': {
    ...read('MCP: there are no sessions to end', null),
    status: 405,
  },
  'GET /v1/sbp/ws/{session_id}': {
    ...open('A surface’s WebSocket; its frames are in the reference'),
    status: 101,
  },
  'GET /v1/sbp/audit': {
    ...{ summary: 'The audit trail', access: 'operator', status: 200 },
    ...{ query: AuditQuery, answer: AuditResponse },
  },
  'GET /v1/sbp/analytics/usage': {
    ...{ summary: 'Usage, cost and latency', access: 'operator', status: 200 },
    ...{ query: UsageQuery, answer: UsageResponse },
  },
  'GET /health': open('What this server is'),
  'GET /health/live': open('Whether the process answers'),
  'GET /health/ready': open('Whether it can serve'),
  'GET /metrics': {
    ...{ summary: 'Metrics, for Prometheus', access: 'operator' },
    ...{ status: 200, answer: null },
  },
  'GET /openapi.json': open('This document'),
  'GET /docs': open('A page to try the API'),
  'GET /docs/{file}': open('What that page is made of'),
};
