import { randomUUID } from 'node:crypto';
import type { MadeCall } from '#libs/domain';
import type { JsonObject, Message } from '#libs/protocol';
import { MAX_CALLS } from '#libs/protocol';
import { argumentProblem, noSuchTool } from '#libs/tools';
import type { Offer } from './offer.js';

/** What a model said, parted by whose tools it calls. */
export type PartedAnswer =
  /** It calls none of the surface's. */
  | { readonly surfaces: null; readonly own: Message }
  | {
      /** With the calls of the surface's tools alone. */
      readonly surfaces: Message;
      /** The client's own calls alone; null where there are none. */
      readonly own: Message | null;
    };

interface FunctionCall {
  readonly id: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A call of what is no function is the client's own, and stays as it is. */
type OtherCall = JsonObject & { readonly function?: undefined };
type Call = FunctionCall | OtherCall;

/** The most calls of one answer that are made; of the others the model is told so. */
const MOST_CALLS = 256;

/** Parts a message by whose tools it calls. */
export function partedAnswer(message: Message, offer: Offer): PartedAnswer {
  const calls = callsOf(message);
  const isSurfaces = ({ function: called }: Call) =>
    called !== undefined && offer.isSurfaces(called.name);
  const surfaces = calls.filter(isSurfaces).slice(0, MAX_CALLS);
  if (surfaces.length === 0) return { surfaces: null, own: message };
  const own = calls.filter((call) => !isSurfaces(call));
  return {
    surfaces: withCalls(message, surfaces),
    // What is said, and what else the provider added, stands once.
    own: own.length === 0 ? null : withCalls({ role: 'assistant', content: null }, own),
  };
}

/**
 * The calls of a message that has no others, as the surface is to make them. `approve`: tools whose
 * calls a human must allow, by the names that the surface or the model knows them by.
 */
export function madeCalls(
  message: Message,
  offer: Offer,
  approve: ReadonlySet<string>,
): readonly MadeCall[] {
  return callsOf(message).flatMap(({ function: called }, at) => {
    if (called === undefined) return [];
    if (at < MOST_CALLS) return [madeCall(called, offer, approve)];
    const toolName = offer.tools.get(called.name)?.toolName ?? called.name;
    return [refused(toolName, `No more than ${MOST_CALLS} calls of one answer are made.`)];
  });
}

function madeCall(
  called: FunctionCall['function'],
  offer: Offer,
  approve: ReadonlySet<string>,
): MadeCall {
  const tool = offer.tools.get(called.name);
  if (tool === undefined) {
    return refused(called.name, noSuchTool(called.name));
  }
  const { toolName, timeoutMs } = tool;
  const input = readArguments(called.arguments);
  if (input === null) return refused(toolName, 'The arguments are not a JSON object.');
  const problem = argumentProblem(tool, input);
  if (problem !== null) return refused(toolName, problem);
  const needsApproval = approve.has(toolName) || approve.has(called.name);
  return { toolName, toolInput: input, sent: { type: 'to-surface', timeoutMs, needsApproval } };
}

function refused(toolName: string, why: string): MadeCall {
  return { toolName, toolInput: {}, sent: { type: 'refused', why } };
}

function readArguments(text: string): JsonObject | null {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}

/** An answer names the call that it is to: a call of a function without an id gets one. */
function callsOf({ tool_calls: calls }: Message): readonly Call[] {
  return (calls ?? []).map((call): Call => {
    const { id, function: called } = call as Partial<FunctionCall>;
    if (called === undefined) return call;
    const { name = '', arguments: args = '' } = called as Partial<FunctionCall['function']>;
    const named = id === undefined || id === '' ? `call_${randomUUID()}` : id;
    return { ...call, id: named, function: { ...called, name, arguments: args } };
  });
}

function withCalls(message: Message, calls: readonly Call[]): Message {
  return { ...message, tool_calls: calls.map((call) => ({ ...call })) };
}
