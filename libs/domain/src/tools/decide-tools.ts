import type { JsonObject, Message, OnSurfaceLost, ProcessAddress, Usage } from '#libs/protocol';
import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';
import type { TurnClaim } from '../turns/decide-turns.js';

/** A call that a model has made. */
export interface MadeCall {
  /** As the surface knows it. */
  readonly toolName: string;
  readonly toolInput: JsonObject;
  /** How long it may take there, in ms; or why it is not sent, as the model is told. */
  readonly sent:
    | {
        readonly type: 'to-surface';
        readonly timeoutMs: number;
        /** Whether a human must allow it before it leaves. */
        readonly needsApproval: boolean;
      }
    | { readonly type: 'refused'; readonly why: string };
}

/** One answer of a model that calls tools of the surface. */
export interface MadeRound {
  /** Position among the rounds of the turn, from 1. */
  readonly round: number;
  /** What the model said, with these calls alone, in their order. */
  readonly message: Message;
  readonly calls: readonly MadeCall[];
  /** What becomes of calls whose surface has gone. */
  readonly onSurfaceLost: OnSurfaceLost;
  /** How long a call waits for an approval, or for a surface that has its tool, in ms. */
  readonly waitMs: number;
  /** How many bytes what the calls return may have together, as JSON. */
  readonly resultBytes: number;
  /** Whether the model is shown images that tools return. */
  readonly showsImages: boolean;
  readonly usage: Usage | null;
  readonly costUsd: number | null;
}

/** What a surface has made of a call; or that nothing came of it. */
export type CallEnd =
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly message: string }
  | { readonly type: 'timeout' };

export type ToolCommand =
  | { readonly type: 'CallTools'; readonly claim: TurnClaim; readonly made: MadeRound }
  | {
      /** A client of MCP calls a tool of the attached surface. */
      readonly type: 'CallTool';
      readonly callId: string;
      readonly attachId: string;
      readonly toolName: string;
      readonly toolInput: JsonObject;
      /** How long the surface may take, in ms. */
      readonly timeoutMs: number;
      readonly caller: ProcessAddress;
    }
  | { readonly type: 'ReturnTool'; readonly callId: string; readonly end: CallEnd }
  | {
      readonly type: 'DecideCall';
      readonly callId: string;
      readonly approved: boolean;
      /** Why, as the model is told where the call is denied. */
      readonly reason: string | null;
    };

export function decideTools(command: Issued & ToolCommand): Decision {
  switch (command.type) {
    case 'CallTools':
      return callTools(command);
    case 'CallTool': {
      const { callId: call_id, attachId: attach_id, toolName: tool_name, caller } = command;
      const data = { call_id, attach_id, tool_name, timeout_ms: command.timeoutMs, caller };
      const content = { tool_input: { ...command.toolInput } };
      return decided({ ...envelope(command), type: 'tool.called', data, content });
    }
    case 'ReturnTool': {
      const { callId: call_id, end } = command;
      const data = { call_id, outcome: end.type, bytes: bytesOf(end) };
      return decided({ ...envelope(command), type: 'tool.returned', data, content: told(end) });
    }
    case 'DecideCall': {
      const { callId: call_id, approved, reason } = command;
      const data = { call_id, approved };
      const content = reason === null ? {} : { reason };
      return decided({ ...envelope(command), type: 'tool.decided', data, content });
    }
  }
}

function callTools(command: Issued & Extract<ToolCommand, { type: 'CallTools' }>): Decision {
  const { claim, made } = command;
  return decided({
    ...envelope(command),
    type: 'tools.called',
    turn_id: claim.turnId,
    epoch: claim.epoch,
    data: {
      round: made.round,
      calls: made.calls.map((call) => ({ call_id: command.newId(), tool: toolOf(call) })),
      on_surface_lost: made.onSurfaceLost,
      wait_ms: made.waitMs,
      result_bytes: made.resultBytes,
      shows_images: made.showsImages,
      usage: made.usage,
      cost_usd: made.costUsd,
    },
    content: {
      message: made.message,
      calls: made.calls.map(({ toolName: tool_name, toolInput: tool_input, sent }) => ({
        tool_name,
        tool_input: { ...tool_input },
        ...(sent.type === 'refused' ? { refusal: sent.why } : {}),
      })),
    },
  });
}

function told(end: CallEnd) {
  switch (end.type) {
    case 'result':
      return { result: end.result };
    case 'error':
      return { error: end.message };
    case 'timeout':
      return {};
  }
}

function bytesOf(end: CallEnd): number {
  switch (end.type) {
    case 'result':
      return Buffer.byteLength(JSON.stringify(end.result ?? null));
    case 'error':
      return Buffer.byteLength(JSON.stringify(end.message));
    case 'timeout':
      return 0;
  }
}

function toolOf({ toolName: name, sent }: MadeCall) {
  if (sent.type === 'refused') return null;
  return { name, timeout_ms: sent.timeoutMs, needs_approval: sent.needsApproval };
}
