import type { AssistantToolCall } from './assistant-message.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';

interface GrowingCall {
  readonly index: number;
  id: string;
  type: string;
  name: string;
  arguments: string;
  /** What is called that is no function. */
  other: JsonObject;
}

/** A piece of a tool call. */
export interface PieceCall {
  readonly piece: JsonObject;
  /** The call that it belongs to, in the order in which the calls began. */
  readonly call: number;
  /** Of the function that is called; empty while it is not known, null where it is none. */
  readonly name: string | null;
}

/**
 * Puts tool calls together from their pieces. A piece names its call by `index`; where a provider
 * sends none, by `id`.
 */
export class ToolCallAccumulator {
  private readonly growing: GrowingCall[] = [];

  /** Takes the `tool_calls` of a delta or message. */
  accept(pieces: unknown): {
    /** Characters that were added. */
    readonly length: number;
    /** The call of each piece. */
    readonly calls: readonly PieceCall[];
  } {
    let length = 0;
    const calls = objectsOf(pieces).map((piece) => {
      const call = this.find(piece);
      length += this.merge(call, piece);
      const name = isFunction(call) ? call.name : null;
      return { piece, call: this.growing.indexOf(call), name };
    });
    return { length, calls };
  }

  calls(): readonly AssistantToolCall[] {
    return this.growing
      .toSorted((one, other) => one.index - other.index)
      .map((call): AssistantToolCall => {
        const { id, type, name, other } = call;
        if (!isFunction(call)) return { id, type, [type]: other };
        return { id, type, function: { name, arguments: call.arguments } };
      });
  }

  private find(piece: JsonObject): GrowingCall {
    const id = text(piece['id']);
    const index = piece['index'];
    const named = typeof index === 'number' && Number.isInteger(index);
    // Some providers give every parallel call the index 0: another id under a known index is
    // another call.
    const found = this.growing.findLast((call) =>
      named
        ? call.index === index && (id === '' || call.id === '' || call.id === id)
        : id === '' || call.id === id,
    );
    if (found !== undefined) return found;
    const call = {
      index: named ? index : this.nextIndex(),
      id: '',
      type: 'function',
      name: '',
      arguments: '',
      other: {},
    };
    this.growing.push(call);
    return call;
  }

  private merge(call: GrowingCall, piece: JsonObject): number {
    call.id = text(piece['id']) || call.id;
    call.type = text(piece['type']) || (isJsonObject(piece['custom']) ? 'custom' : call.type);
    const called = piece['function'];
    if (!isJsonObject(called)) return this.mergeOther(call, piece[call.type]);
    // A name comes whole, and some providers repeat it with every piece; arguments come in parts,
    // or whole as an object.
    call.name = text(called['name']) || call.name;
    const args = isJsonObject(called['arguments'])
      ? JSON.stringify(called['arguments'])
      : text(called['arguments']);
    call.arguments += args;
    return args.length + 1;
  }

  /** As of a function: a name comes whole, and other texts come in parts. */
  private mergeOther(call: GrowingCall, called: unknown): number {
    if (!isJsonObject(called)) return 1;
    const before = call.other;
    const merged = Object.entries(called).map(([field, value]) => {
      const isPart = typeof value === 'string' && field !== 'name';
      return [field, isPart ? text(before[field]) + value : value] as const;
    });
    call.other = { ...before, ...Object.fromEntries(merged) };
    return JSON.stringify(called).length;
  }

  private nextIndex(): number {
    return this.growing.reduce((next, call) => Math.max(next, call.index + 1), 0);
  }
}

/** Whether a function is called, as long as nothing says otherwise. */
function isFunction({ type, name, other }: GrowingCall): boolean {
  return type === 'function' || name !== '' || Object.keys(other).length === 0;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
