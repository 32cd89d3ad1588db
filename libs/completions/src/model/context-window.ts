import type { WindowTurn } from '#libs/domain';
import { firstSent } from '#libs/domain';
import { ContextTokens } from '#libs/llm';
import type { JsonObject, Message, Usage } from '#libs/protocol';
import type { StoredTurn } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { Prompt } from '../turn/turn-attempt.js';
import { PromptSizes, promptBytes } from './prompt-sizes.js';

/** What of a conversation a model is sent. */
export interface FittedPrompt {
  /** The first stored turn that is sent. */
  readonly from: number;
  /** Turns that are left out. */
  readonly omitted: number;
}

const WHOLE: FittedPrompt = { from: 0, omitted: 0 };

/**
 * Leaves the oldest whole turns of a long conversation out of what a model is sent, where the
 * operator has set a limit. System messages and what the turn itself brings are always sent, and a
 * tool's answer never without its call. Nothing of it changes what is stored.
 */
@Injectable()
export class ContextWindow {
  private readonly sizes = new PromptSizes();

  constructor(private readonly limits: ContextTokens) {}

  fit(model: string, prompt: Prompt, options: JsonObject): FittedPrompt {
    const tokens = this.limits.of(model);
    if (tokens === null) return WHOLE;
    const { system, transcript, keeps, messages } = prompt;
    const parts = transcript.partsUpTo(keeps);
    const own = [JSON.stringify(options), ...[...system, ...messages].map(text)];
    const taken = own.reduce((sum, each) => sum + promptBytes(each), 0);
    const from = firstSent((index) => windowTurn(parts[index]), {
      count: parts.length,
      mustKeepFrom: mustKeepFrom(parts.length, messages),
      room: this.sizes.bytesOf(model, tokens) - taken,
    });
    const omitted = parts.slice(0, from).filter(({ outcome }) => outcome !== 'refused').length;
    return { from, omitted };
  }

  /** What the model has counted of a request. */
  learn(model: string, body: Uint8Array | readonly Uint8Array[], usage: Usage | null): void {
    if (this.limits.of(model) === null) return;
    const pieces = body instanceof Uint8Array ? [body] : body;
    const bytes = pieces.reduce((sum, piece) => sum + promptBytes(textOf(piece)), 0);
    this.sizes.learn(model, bytes, usage);
  }
}

/** An adopted turn's own messages are the last that are stored. */
function mustKeepFrom(count: number, messages: readonly Message[]): number {
  const [first] = messages;
  return first === undefined || isAnswerOfTool(first) ? count - 1 : count;
}

function windowTurn(part: StoredTurn | undefined): WindowTurn {
  if (part === undefined) throw new Error('there is no such turn');
  const [first] = part.usesTools ? part.messages() : [];
  // What the model refused is not sent.
  const texts = part.outcome === 'refused' ? [] : part.texts;
  return {
    size: texts.reduce((sum, each) => sum + promptBytes(each), 0),
    answersCall: first !== undefined && isAnswerOfTool(first),
  };
}

function isAnswerOfTool({ role }: Message): boolean {
  return role === 'tool' || role === 'function';
}

function text(message: Message): string {
  return JSON.stringify(message);
}

function textOf(piece: Uint8Array): string {
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString();
}
