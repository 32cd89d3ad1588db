import type { AssistantToolCall } from './assistant-message.js';
import type { JsonObject } from '../json.js';
import { isJsonObject, objectsOf } from '../json.js';

interface GrowingCall {
  readonly index: number;
  id: string;
  type: string;
  name: string;
  arguments: string;
}

/** A piece of a tool call. */
export interface PieceCall {
  readonly piece: JsonObject;
  /** The call that it belongs to, in the order in which the calls began. */
  readonly call: number;
  /** Of the function that is called; empty while it is not known. */
  readonly name: string;
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
      return { piece, call: this.growing.indexOf(call), name: call.name };
    });
    return { length, calls };
  }

  calls(): readonly AssistantToolCall[] {
    return this.growing
      .toSorted((one, other) => one.index - other.index)
      .map((call) => ({
        id: call.id,
        type: call.type,
        function: { name: call.name, arguments: call.arguments },
      }));
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
    };
    this.growing.push(call);
    return call;
  }

  private merge(call: GrowingCall, piece: JsonObject): number {
    call.id = text(piece['id']) || call.id;
    call.type = text(piece['type']) || call.type;
    const called = piece['function'];
    if (!isJsonObject(called)) return 1;
    // A name comes whole, and some providers repeat it with every piece; arguments come in parts,
    // or whole as an object.
    call.name = text(called['name']) || call.name;
    const args = isJsonObject(called['arguments'])
      ? JSON.stringify(called['arguments'])
      : text(called['arguments']);
    call.arguments += args;
    return args.length + 1;
  }

  private nextIndex(): number {
    return this.growing.reduce((next, call) => Math.max(next, call.index + 1), 0);
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
