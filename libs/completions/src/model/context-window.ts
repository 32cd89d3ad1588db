import type { WindowTurn } from '#libs/domain';
import { firstSent } from '#libs/domain';
import { ContextTokens } from '#libs/llm';
import type { JsonObject, Message, Usage } from '#libs/protocol';
import type { StoredTurn } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { Prompt } from '../turn/turn-attempt.js';
import type { PromptSize } from './prompt-sizes.js';
import { PromptSizes, promptSize, sumOfSizes } from './prompt-sizes.js';

/** What of a conversation a model is sent. */
export interface FittedPrompt {
  /** The first stored turn that is sent. */
  readonly from: number;
  /** Turns that are left out. */
  readonly omitted: number;
  /** Of all that is sent; null where there is no limit, and nothing is to be learnt. */
  readonly size: PromptSize | null;
}

/** A stored turn's size; it does not change any more. */
interface SizedTurn extends Omit<WindowTurn, 'size'> {
  readonly size: PromptSize;
}

const WHOLE: FittedPrompt = { from: 0, omitted: 0, size: null };

/**
 * Leaves the oldest whole turns of a long conversation out of what a model is sent, where the
 * operator has set a limit. System messages and what the turn itself brings are always sent, and a
 * tool's answer never without its call. Nothing of it changes what is stored.
 */
@Injectable()
export class ContextWindow {
  private readonly sizes = new PromptSizes();
  private readonly sized = new WeakMap<StoredTurn, SizedTurn>();

  constructor(private readonly limits: ContextTokens) {}

  fit(model: string, prompt: Prompt, options: JsonObject): FittedPrompt {
    const tokens = this.limits.of(model);
    if (tokens === null) return WHOLE;
    const { system, transcript, keeps, messages, isStored } = prompt;
    const parts = transcript.partsUpTo(keeps);
    const own = sumOfSizes([options, ...system, ...messages].map(sizeOfJson));
    const from = firstSent((index) => this.turnAt(model, parts[index]), {
      count: parts.length,
      own: isStored ? 1 : 0,
      answersCall: firstIsAnswer(messages),
      room: tokens - this.sizes.tokensOf(model, own),
    });
    const omitted = parts.slice(0, from).filter(({ outcome }) => outcome !== 'refused').length;
    const sent = parts.slice(from).map((part) => this.sizedTurn(part).size);
    return { from, omitted, size: sumOfSizes([own, ...sent]) };
  }

  /** What the model has counted of what it was sent. */
  learn(model: string, { size }: FittedPrompt, usage: Usage | null): void {
    const tokens = this.limits.of(model);
    if (size !== null && tokens !== null) this.sizes.learn(model, size, tokens, usage);
  }

  private turnAt(model: string, part: StoredTurn | undefined): WindowTurn {
    if (part === undefined) throw new Error('there is no such turn');
    const { size, ...rest } = this.sizedTurn(part);
    return { ...rest, size: this.sizes.tokensOf(model, size) };
  }

  private sizedTurn(part: StoredTurn): SizedTurn {
    const known = this.sized.get(part) ?? sizedTurn(part);
    this.sized.set(part, known);
    return known;
  }
}

function sizedTurn(part: StoredTurn): SizedTurn {
  const { outcome, texts, usesTools } = part;
  // What the model refused is not sent.
  if (outcome === 'refused') return { size: sumOfSizes([]), answersCall: false, mayCall: false };
  const size = sumOfSizes(texts.map(promptSize));
  if (!usesTools) return { size, answersCall: false, mayCall: outcome === 'answered' };
  const messages = part.messages();
  return {
    size,
    answersCall: firstIsAnswer(messages),
    mayCall: messages.some(({ role }) => role === 'assistant'),
  };
}

/** Whether answers of tools stand before anything that an assistant says. */
function firstIsAnswer(messages: readonly Message[]): boolean {
  const [first] = messages.filter(({ role }) => role !== 'user');
  return first?.role === 'tool' || first?.role === 'function';
}

function sizeOfJson(value: JsonObject | Message): PromptSize {
  return promptSize(JSON.stringify(value));
}
