import type { ServerFrame } from '#libs/protocol';

/** What a turn's frames say of it under their second names only. */
export interface FrameTurn {
  /** Its number in the session, from 1. */
  readonly number: number;
  /** Null while it is not known. */
  readonly modelUsed: string | null;
  readonly costUsd: number | null;
}

/**
 * A frame with its fields also under the names that some public clients read. `turn`: of a turn's
 * frame.
 */
export function withAliases(
  frame: ServerFrame,
  session_id: string,
  turn: FrameTurn | null,
): ServerFrame {
  const { number: step = null, modelUsed: model = null, costUsd: cost_usd = null } = turn ?? {};
  switch (frame.type) {
    case 'TETHER_TURN': {
      const { role, content, model_used } = frame;
      return { ...frame, session_id, turn: { role, content, model_used } };
    }
    case 'TURN_CHUNK': {
      const { delta } = frame;
      return { ...frame, session_id, chunk: delta, content: delta, step, model };
    }
    case 'TURN_COMPLETE':
      return { ...frame, session_id, step, model, cost_usd };
    case 'SESSION_NOT_FOUND':
      return { ...frame, session_id };
    case 'SESSION_ATTACHED':
    case 'TOOL_CALL':
    case 'FORBIDDEN':
    case 'PROTOCOL_ERROR':
    case 'PING':
      return frame;
  }
}
