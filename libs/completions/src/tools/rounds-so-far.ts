import type { EarlierRounds, SessionState, TurnOutput } from '#libs/domain';
import { messageBytes, turnText } from '#libs/domain';
import type { JsonObject, Message, Usage } from '#libs/protocol';
import type { StoredRound } from '#libs/store';
import { messagesOf } from '#libs/store';
import type { ModelAnswer } from '../model/model-answer.js';
import type { AnswerHead, ToldBefore } from '../model/shown-chunks.js';
import { without } from '../model/shown-chunks.js';
import { sumOfUsage } from '../model/sum-of-usage.js';

/** What the model has said to its end. */
export type WholeAnswer = Extract<ModelAnswer, { type: 'json' | 'stream' }>;

/** The rounds of one turn that are over, as far as the rest of the turn needs them. */
export class RoundsSoFar {
  /** Behind the turn's own, for the model. */
  messages: readonly Message[] = [];
  /** What the model said to the human in them, joined. */
  said = '';
  count = 0;
  /** What its caller was told; null before any. */
  before: ToldBefore | null = null;
  private bytes = 0;
  private usage: Usage | null = null;
  private costUsd: number | null = 0;
  private firstTokenMs: number | null = null;
  private modelMs = 0;

  constructor(rounds: readonly StoredRound[]) {
    if (rounds.length > 0) this.take(rounds);
  }

  /** The model has answered, and called. */
  heard({ output, head }: WholeAnswer): void {
    this.firstTokenMs ??= output.firstTokenMs;
    this.modelMs += output.modelMs;
    this.before = { head: this.before?.head ?? named(head), usage: this.usage };
  }

  /** All rounds of the turn, whose calls have returned. */
  take(rounds: readonly StoredRound[]): void {
    this.messages = messagesOf(rounds).map(({ message }) => message);
    this.bytes = messageBytes(this.messages);
    this.said = turnText(rounds.map(({ message }) => message));
    this.count = rounds.length;
    this.usage = rounds.map(({ usage }) => usage).reduce(sumOfUsage);
    this.costUsd = rounds.map(({ costUsd }) => costUsd).reduce(sumOfCosts);
    if (this.before !== null) this.before = { ...this.before, usage: this.usage };
  }

  /** How many bytes the next round may return, where the conversation may have `most`. */
  room(state: SessionState, most: number): number {
    const before = state.phase === 'open' ? state.bytes : 0;
    return Math.max(0, most - before - this.bytes);
  }

  /** The turn as a whole, with its last answer. `own`: that answer without the surface's calls. */
  whole(answer: WholeAnswer, own: Message): WholeAnswer {
    if (this.count === 0) return answer;
    const { output } = answer;
    const whole: TurnOutput = {
      ...output,
      messages: [own],
      before: this.earlier(),
      usage: sumOfUsage(this.usage, output.usage),
      costUsd: sumOfCosts(this.costUsd, output.costUsd),
      firstTokenMs: this.firstTokenMs ?? output.firstTokenMs,
      modelMs: this.modelMs + output.modelMs,
    };
    return answer.type === 'stream'
      ? { ...answer, output: whole }
      : { ...answer, output: whole, body: this.wholeBody(answer.body, own, whole.usage) };
  }

  /**
   * The turn as a whole where the last round called the client's own tools too: its answer has been
   * counted with the round.
   */
  mixed(answer: WholeAnswer, own: Message): WholeAnswer {
    const counted = { usage: this.usage, costUsd: this.costUsd };
    const times = { firstTokenMs: this.firstTokenMs, modelMs: this.modelMs };
    const output = { ...answer.output, messages: [own], before: this.earlier() };
    const whole: TurnOutput = { ...output, ...counted, ...times };
    return answer.type === 'stream'
      ? { ...answer, output: whole }
      : { ...answer, output: whole, body: this.wholeBody(answer.body, own, this.usage) };
  }

  private earlier(): EarlierRounds {
    const { messages, bytes, said } = this;
    return { messageCount: messages.length, bytes, said };
  }

  private wholeBody(body: JsonObject, own: Message, usage: Usage | null): JsonObject {
    const text = this.said + turnText([own]);
    const { tool_calls: calls } = own;
    const choices = (body['choices'] as readonly JsonObject[]).map((choice, at) => {
      if (at > 0) return choice;
      const message = without(choice['message'] as JsonObject, 'tool_calls');
      const content = text === '' ? (own.content ?? null) : text;
      const shown = { ...message, content, ...(calls ? { tool_calls: calls } : {}) };
      return { ...choice, message: shown };
    });
    return { ...body, ...this.before?.head, choices, ...(usage === null ? {} : { usage }) };
  }
}

function named({ id, created }: AnswerHead): AnswerHead {
  return { id, created };
}

function sumOfCosts(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}
