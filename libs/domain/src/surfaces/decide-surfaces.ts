import type { LogEventOf, ProcessAddress, SurfaceContext } from '#libs/protocol';
import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';
import type { SessionState } from '../session-state.js';
import { TAKEOVER_LIMIT, TAKEOVER_WINDOW_MS } from '../session-state.js';

export type SurfaceCommand =
  | {
      readonly type: 'AttachSurface';
      readonly attachId: string;
      readonly gateway: ProcessAddress;
      readonly context: SurfaceContext;
    }
  | {
      readonly type: 'DetachSurface';
      readonly attachId: string;
      readonly reason: LogEventOf<'surface.detached'>['data']['reason'];
    }
  | { readonly type: 'AcknowledgeTurns'; readonly attachId: string; readonly seq: number };

export function decideSurface(command: Issued & SurfaceCommand, state: SessionState): Decision {
  const { attachId: attach_id } = command;
  switch (command.type) {
    case 'AttachSurface': {
      if (tooManyTakeovers(state, command.at)) {
        return { type: 'refused', reason: 'too-many-takeovers' };
      }
      const { gateway, context } = command;
      // What a surface says of its tools is carried; their names decide what is offered [A10].
      const { mcp_tool_schemas: tool_schemas, ...known } = context;
      const data = { attach_id, gateway, context: known };
      const isSaid = tool_schemas !== undefined && tool_schemas !== null;
      const content = isSaid ? { content: { tool_schemas } } : {};
      return decided({ ...envelope(command), type: 'surface.attached', data, ...content });
    }
    case 'DetachSurface': {
      const data = { attach_id, reason: command.reason };
      return decided({ ...envelope(command), type: 'surface.detached', data });
    }
    case 'AcknowledgeTurns': {
      const data = { attach_id, seq: command.seq };
      return decided({ ...envelope(command), type: 'surface.acknowledged', data });
    }
  }
}

/** Clients that return at once after being replaced would fight for ever. */
function tooManyTakeovers(state: SessionState, at: string): boolean {
  if (state.phase !== 'open' || state.takeovers.length < TAKEOVER_LIMIT) return false;
  const [oldest] = state.takeovers;
  return oldest !== undefined && Date.parse(at) - Date.parse(oldest) < TAKEOVER_WINDOW_MS;
}
