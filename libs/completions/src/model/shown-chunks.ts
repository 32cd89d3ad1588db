import type { PieceCall } from '#libs/llm';
import type { JsonObject, Usage } from '#libs/protocol';
import { sumOfUsage } from './sum-of-usage.js';

/** What stands in every chunk of an answer, whatever round of the turn it is of. */
export interface AnswerHead {
  readonly id: unknown;
  readonly created: unknown;
}

/** What the rounds of a turn before this one have told its caller. */
export interface ToldBefore {
  readonly head: AnswerHead;
  readonly usage: Usage | null;
}

/** A call that the caller is shown, or that is not known yet to be one. */
interface ShownCall {
  readonly index: number | null;
  /** Pieces that came before its name. */
  readonly waiting: readonly JsonObject[];
}

/**
 * What a caller is shown of a model's stream: no call of a tool of the surface; and all rounds of a
 * turn as one answer. What it changes nothing of is given back as it is.
 */
export class ShownChunks {
  private readonly calls = new Map<number, ShownCall>();
  private nextIndex = 0;
  private hidesAny = false;

  /** @param hides whether calls of a function are not shown */
  constructor(
    private readonly hides: (name: string) => boolean,
    private readonly before: ToldBefore | null,
  ) {}

  /** Null where nothing of a chunk is shown. `calls`: the pieces of calls in it. */
  shown(chunk: JsonObject, calls: readonly PieceCall[]): JsonObject | null {
    const pieces = this.shownPieces(calls);
    if (this.before === null && !this.hidesAny) return chunk;
    const choices = Array.isArray(chunk['choices']) ? (chunk['choices'] as JsonObject[]) : [];
    const shown = choices.flatMap((choice) => this.shownChoice(choice, pieces));
    if (choices.length > 0 && shown.length === 0) return null;
    const { head, usage } = this.before ?? { head: {}, usage: null };
    const used = (chunk['usage'] ?? null) as Usage | null;
    return {
      ...chunk,
      ...head,
      choices: shown,
      ...(used === null || usage === null ? {} : { usage: sumOfUsage(usage, used) }),
    };
  }

  private shownPieces(calls: readonly PieceCall[]): readonly JsonObject[] {
    return calls.flatMap(({ piece, call, name }) => {
      const known = this.calls.get(call) ?? { index: null, waiting: [] };
      if (name === '' || (name !== null && this.hides(name))) {
        this.hidesAny = true;
        this.calls.set(call, { ...known, waiting: name === '' ? [...known.waiting, piece] : [] });
        return [];
      }
      const index = known.index ?? this.nextIndex++;
      this.calls.set(call, { index, waiting: [] });
      return [...known.waiting, piece].map((each) => ({ ...each, index }));
    });
  }

  private shownChoice(choice: JsonObject, pieces: readonly JsonObject[]): readonly JsonObject[] {
    const { delta, finish_reason: reason = null } = choice;
    if (typeof delta !== 'object' || delta === null) return [choice];
    const { role, ...rest } = delta as JsonObject;
    const said = without(rest, 'tool_calls');
    const isEmpty = Object.values(said).every((value) => value === null || value === '');
    const begins = role !== undefined && this.before === null;
    if (isEmpty && pieces.length === 0 && !begins && reason === null) return [];
    const shown = {
      ...(begins ? { role } : {}),
      ...said,
      ...(pieces.length === 0 ? {} : { tool_calls: pieces }),
    };
    return [{ ...choice, delta: shown }];
  }
}

export function without(object: JsonObject, field: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== field));
}

/** A chunk that says nothing but a text. */
export function chunkOf(head: AnswerHead, model: string, content: string): JsonObject {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }];
  return { ...head, object: 'chat.completion.chunk', model, choices };
}
