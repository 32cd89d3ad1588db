import type {
  JsonObject,
  LogEventOf,
  Message,
  OnSurfaceLost,
  ProcessAddress,
} from '#libs/protocol';
import type { Told } from './events.js';
import {
  ATTACH,
  TURN,
  envelope,
  id,
  processAt,
  sessionOpened,
  surfaceAttached,
  turnStarted,
} from './events.js';

export interface CalledDetails extends Told {
  readonly turn?: string;
  readonly round?: number;
  /** Whether no call is sent. */
  readonly refused?: boolean;
  readonly needsApproval?: boolean;
  readonly onSurfaceLost?: OnSurfaceLost;
  /** How many bytes the calls may return together. */
  readonly resultBytes?: number;
  /** The ids of the calls. */
  readonly calls?: readonly string[];
  readonly text?: string;
}

export const CALL = id(0xca001);
export const OTHER_CALL = id(0xca002);

/** What a surface says that has the tool `gps`. */
export const GPS = { context: { mcp_tools: ['gps'] } };

/** A session whose first turn runs, with a surface that has `gps`. */
export const begunWithGps = [
  sessionOpened(10),
  turnStarted(10),
  surfaceAttached(ATTACH, GPS),
] as const;

/** How long calls wait for an approval or a device. */
export const WAIT_MS = 600_000;

/** Each call is one of the tool `gps`; models know it by its id with `m-` before it. */
export function toolsCalled(
  epoch: number,
  details: CalledDetails = {},
): LogEventOf<'tools.called'> {
  const { turn = TURN, round = 1, refused = false, calls = [CALL], text = '' } = details;
  const { needsApproval: needs_approval = false, onSurfaceLost = 'fail' } = details;
  const { resultBytes = 1_000_000 } = details;
  const tool = refused ? null : { name: 'gps', timeout_ms: 30_000, needs_approval };
  return {
    ...envelope(details),
    type: 'tools.called',
    turn_id: turn,
    epoch,
    data: {
      round,
      calls: calls.map((call_id) => ({ call_id, tool })),
      on_surface_lost: onSurfaceLost,
      wait_ms: WAIT_MS,
      result_bytes: resultBytes,
      shows_images: false,
      usage: { prompt_tokens: 3, completion_tokens: 2 },
      cost_usd: 0.25,
    },
    content: {
      message: calling(calls, text),
      calls: calls.map(() => ({
        tool_name: 'gps',
        tool_input: {},
        ...(refused ? { refusal: 'There is no such tool.' } : {}),
      })),
    },
  };
}

/** What a model says that makes these calls. */
export function calling(calls: readonly string[], text = ''): Message {
  const made = calls.map((call) => {
    return {
      id: `m-${call}`,
      type: 'function',
      function: { name: 'surface_gps', arguments: '{}' },
    };
  });
  return { role: 'assistant', content: text === '' ? null : text, tool_calls: made };
}

/** A client of MCP calls `gps`. */
export function toolCalled(
  call: string = CALL,
  details: Told & {
    readonly attachId?: string;
    readonly caller?: ProcessAddress;
    readonly input?: JsonObject;
  } = {},
): LogEventOf<'tool.called'> {
  const { attachId: attach_id = ATTACH, caller = processAt(7), input = {} } = details;
  const data = { call_id: call, attach_id, tool_name: 'gps', timeout_ms: 30_000, caller };
  return { ...envelope(details), type: 'tool.called', data, content: { tool_input: { ...input } } };
}

export function toolReturned(
  call: string = CALL,
  details: Told & { readonly result?: unknown } = {},
): LogEventOf<'tool.returned'> {
  const { result = 'here' } = details;
  return {
    ...envelope(details),
    type: 'tool.returned',
    data: { call_id: call, outcome: 'result', bytes: JSON.stringify(result).length },
    content: { result },
  };
}

export function toolDecided(
  call: string,
  approved: boolean,
  details: Told & { readonly reason?: string } = {},
): LogEventOf<'tool.decided'> {
  const { reason } = details;
  return {
    ...envelope(details),
    type: 'tool.decided',
    data: { call_id: call, approved },
    content: reason === undefined ? {} : { reason },
  };
}
