import { z } from 'zod';
import { Instant, JsonObject, Uuid } from '../json.js';
import { SentContext } from './surface-context.js';

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
  surface_context: SentContext,
});
export type AttachSession = Readonly<z.infer<typeof AttachSession>>;

/** What came of a TOOL_CALL; with neither field it is a success that says nothing. */
export const ToolResult = z.object({
  type: z.literal('TOOL_RESULT'),
  call_id: z.string().max(64),
  /** Any JSON, or what a tool of MCP returns. */
  result: z.unknown().optional(),
  error: z.string().max(1_000_000).nullish(),
});
export type ToolResult = Readonly<z.infer<typeof ToolResult>>;

export const ClientFrame = z.discriminatedUnion('type', [
  AttachSession,
  z.object({ type: z.literal('DETACH') }),
  ToolResult,
  z.object({ type: z.literal('PONG') }),
]);
export type ClientFrame = Readonly<z.infer<typeof ClientFrame>>;

/** The client frame types of the contract; any other is ignored after the attach. */
export const CLIENT_FRAME_TYPES: readonly string[] = ClientFrame.options.map(
  ({ shape }) => shape.type.value,
);

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

/** Fields under the names that some public clients read; a surface may do without them. */
const TetherTurnAliases = z
  .object({
    session_id: z.string(),
    turn: z.object({
      role: z.literal('assistant'),
      content: z.string(),
      model_used: z.string().nullable(),
    }),
  })
  .partial();

const TurnChunkAliases = z
  .object({
    session_id: z.string(),
    /** The delta. */
    chunk: z.string(),
    /** The delta. */
    content: z.string(),
    /** The turn's number in its session, from 1. */
    step: z.int().min(1).nullable(),
    /** The model that the upstream says it used; null until the turn has ended. */
    model: z.string().nullable(),
  })
  .partial();

const TurnCompleteAliases = z
  .object({
    session_id: z.string(),
    /** The turn's number in its session, from 1. */
    step: z.int().min(1).nullable(),
    /** The model that the upstream says it used. */
    model: z.string().nullable(),
    /** What the turn cost; null where it is not known. */
    cost_usd: z.number().nullable(),
  })
  .partial();

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
  /** The client's own tools that the turn ended with calls of, one name for each call. */
  tool_calls: z.array(z.string()).optional(),
  ...TetherTurnAliases.shape,
});

export const TurnChunk = z.object({
  type: z.literal('TURN_CHUNK'),
  chunk_id: Uuid,
  delta: z.string(),
  turn_id: Uuid,
  /** Code points of this attempt before the delta. */
  offset: z.int().min(0),
  replaces: Uuid.optional(),
  ...TurnChunkAliases.shape,
});

export const TurnComplete = z.object({
  type: z.literal('TURN_COMPLETE'),
  chunk_id: Uuid,
  turn_id: Uuid,
  seq: z.int().min(1),
  status: TurnStatus,
  error: TurnError.optional(),
  ...TurnCompleteAliases.shape,
});

export const ToolCall = z.object({
  type: z.literal('TOOL_CALL'),
  /** Unique in the session; a surface runs the tool once for each, however often it is told. */
  call_id: Uuid,
  /** As the surface declared it. */
  tool_name: z.string(),
  tool_input: JsonObject,
});

const refusal = <T extends string>(type: T) =>
  z.object({ type: z.literal(type), detail: z.string() });

const SessionNotFound = z.object({
  ...refusal('SESSION_NOT_FOUND').shape,
  /** An alias: as the client wrote it in the path. */
  session_id: z.string().optional(),
});

export const ServerFrame = z.discriminatedUnion('type', [
  SessionAttached,
  SessionNotFound,
  refusal('FORBIDDEN'),
  refusal('PROTOCOL_ERROR'),
  TetherTurn,
  TurnChunk,
  TurnComplete,
  ToolCall,
  z.object({ type: z.literal('PING') }),
]);
export type ServerFrame = Readonly<z.infer<typeof ServerFrame>>;
