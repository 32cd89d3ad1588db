import { z } from 'zod';
import { Instant, Uuid } from '../json.js';
import { SurfaceContext } from './surface-context.js';

/** How a turn ended. */
export const TurnStatus = z.enum(['completed', 'failed', 'cancelled']);
export type TurnStatus = z.infer<typeof TurnStatus>;

/** Why a turn did not complete, as its readers are told. */
export const TurnError = z.object({ code: z.string(), message: z.string() });
export type TurnError = Readonly<z.infer<typeof TurnError>>;

export const AttachSession = z.object({
  type: z.literal('ATTACH_SESSION'),
  session_id: z.string(),
  session_token: z.string().max(8192),
  surface_context: SurfaceContext,
});
export type AttachSession = Readonly<z.infer<typeof AttachSession>>;

export const ClientFrame = z.discriminatedUnion('type', [
  AttachSession,
  z.object({ type: z.literal('DETACH') }),
  z.object({ type: z.literal('PONG') }),
]);
export type ClientFrame = Readonly<z.infer<typeof ClientFrame>>;

/** The client frame types of the contract; any other is ignored after the attach. */
export const CLIENT_FRAME_TYPES: readonly string[] = [
  'ATTACH_SESSION',
  'DETACH',
  'TOOL_RESULT',
  'PONG',
];

export const SessionAttached = z.object({
  type: z.literal('SESSION_ATTACHED'),
  session_id: Uuid,
  surface_id: z.string().nullable(),
  device_type: z.string(),
  queued_turns: z.int().min(0),
  mcp_tools_registered: z.array(z.string()),
  sbp_version: z.literal('1.2'),
  sbp_level: z.literal('L5'),
  session_token: z.string(),
});

export const TetherTurn = z.object({
  type: z.literal('TETHER_TURN'),
  turn_index: z.int().min(0),
  role: z.literal('assistant'),
  content: z.string(),
  model_used: z.string().nullable(),
  created_at: Instant,
  turn_id: Uuid,
  seq: z.int().min(1),
  status: TurnStatus,
  error: TurnError.optional(),
});

export const TurnChunk = z.object({
  type: z.literal('TURN_CHUNK'),
  chunk_id: Uuid,
  delta: z.string(),
  turn_id: Uuid,
  /** Code points of this attempt before the delta. */
  offset: z.int().min(0),
  replaces: Uuid.optional(),
});

export const TurnComplete = z.object({
  type: z.literal('TURN_COMPLETE'),
  chunk_id: Uuid,
  turn_id: Uuid,
  seq: z.int().min(1),
  status: TurnStatus,
  error: TurnError.optional(),
});

const refusal = <T extends string>(type: T) =>
  z.object({ type: z.literal(type), detail: z.string() });

export const ServerFrame = z.discriminatedUnion('type', [
  SessionAttached,
  refusal('SESSION_NOT_FOUND'),
  refusal('FORBIDDEN'),
  refusal('PROTOCOL_ERROR'),
  TetherTurn,
  TurnChunk,
  TurnComplete,
  z.object({ type: z.literal('PING') }),
]);
export type ServerFrame = Readonly<z.infer<typeof ServerFrame>>;
