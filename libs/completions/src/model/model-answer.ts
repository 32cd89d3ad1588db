import { Injectable } from '@nestjs/common';
import type { TurnOutput } from '#libs/domain';
import type { AssistantMessage, Completion, ModelResponse } from '#libs/llm';
import {
  ChatModel,
  CompletionAccumulator,
  DemoModel,
  PriceList,
  parseChunk,
  readCompletion,
  readSseEvents,
} from '#libs/llm';
import type { JsonObject, Message, Usage } from '#libs/protocol';
import { LIMITS } from '#libs/protocol';
import { isPlainChunk } from '../turn/sent-text.js';
import type { AnswerHead, ShownChunks } from './shown-chunks.js';

/** What the model said, read to its end. */
export type ModelAnswer =
  /** An error of the provider, to be passed on as it is. */
  | { readonly type: 'refused'; readonly body: Buffer; readonly message: string }
  /** It broke off, or made no sense. */
  | { readonly type: 'broken'; readonly cause: unknown }
  | {
      readonly type: 'json';
      readonly body: JsonObject;
      readonly head: AnswerHead;
      readonly output: TurnOutput;
    }
  | {
      readonly type: 'stream';
      /**
       * The chunk with `finish_reason` and all after it, as JSON: not to be sent before the turn is
       * committed [A2].
       */
      readonly held: readonly string[];
      /** The text in what is held. */
      readonly heldText: string;
      readonly head: AnswerHead;
      readonly output: TurnOutput;
    };

/** What happens while the answer is read. */
export interface AnswerListener {
  /**
   * Whether the client asked for usage; else it is taken out again, because the server asked for
   * it.
   */
  readonly showUsage: boolean;
  readonly chunks: ShownChunks;
  /** The answer is a stream, and begins. */
  begin(): void;
  /** A chunk that may be sent on at once, as JSON, with the text of choice 0 that it adds. */
  chunk(data: string, text: string, isPlain: boolean): void;
  /** New text of choice 0. */
  delta(text: string): void;
  /** What the model says it has used, so far or in all. */
  usage(usage: Usage): void;
}

/** Reads answers of the model, streamed or whole. */
@Injectable()
export class ModelAnswerReader {
  constructor(
    private readonly model: ChatModel,
    private readonly prices: PriceList,
  ) {}

  /**
   * `asked`: the model that the client named; `calledAt`: when it was called, in ms of a clock that
   * only rises.
   */
  async read(
    head: ModelResponse,
    asked: string,
    calledAt: number,
    listener: AnswerListener,
  ): Promise<ModelAnswer> {
    try {
      if (head.status >= 400) return await this.refusal(head);
      const type = head.headers['content-type'] ?? '';
      return type.toLowerCase().includes('text/event-stream')
        ? await this.stream(head, asked, calledAt, listener)
        : await this.json(head, asked, calledAt);
    } catch (cause) {
      return { type: 'broken', cause };
    }
  }

  private async refusal(head: ModelResponse): Promise<ModelAnswer> {
    const body = await readAll(head.body);
    return {
      type: 'refused',
      body,
      message: `The model answered ${head.status}: ${body.toString('utf8', 0, 2_000)}`,
    };
  }

  private async json(head: ModelResponse, asked: string, calledAt: number): Promise<ModelAnswer> {
    const body: unknown = JSON.parse((await readAll(head.body)).toString('utf8'));
    const completion = readCompletion(body);
    return {
      type: 'json',
      body: body as JsonObject,
      head: headOf(body as JsonObject),
      output: this.output(completion, asked, timesOf(calledAt, null)),
    };
  }

  private async stream(
    head: ModelResponse,
    asked: string,
    calledAt: number,
    listener: AnswerListener,
  ): Promise<ModelAnswer> {
    listener.begin();
    const answer = new CompletionAccumulator();
    const held: string[] = [];
    let finished = false;
    let heldText = '';
    let answerHead: AnswerHead | null = null;
    let firstTextAt: number | null = null;
    for await (const event of readSseEvents(head.body)) {
      if (event.data === '[DONE]') break;
      const chunk = parseChunk(event.data);
      answerHead ??= headOf(chunk);
      const accepted = answer.accept(chunk);
      if (accepted.delta !== '') firstTextAt ??= performance.now();
      listener.delta(accepted.delta);
      if (answer.usage !== null) listener.usage(answer.usage);
      finished ||= accepted.finished;
      if (finished) heldText += accepted.delta;
      if (accepted.usageOnly && !listener.showUsage) continue;
      const shown = listener.chunks.shown(chunk, accepted.calls);
      if (shown === null) continue;
      const isAsItCame = shown === chunk && (listener.showUsage || !('usage' in chunk));
      const data = isAsItCame ? event.data : asShown(shown, listener.showUsage);
      if (finished) held.push(data);
      else listener.chunk(data, accepted.delta, isPlainChunk(shown));
    }
    if (!finished)
      return {
        type: 'broken',
        cause: new Error('the model ended its stream without a finish_reason'),
      };
    const { usage, model, id, finishReason } = answer;
    const said = { message: answer.message(), alternatives: answer.alternatives() };
    const completion = { ...said, usage, model, id, finishReason };
    const output = this.output(completion, asked, timesOf(calledAt, firstTextAt));
    const heads = answerHead ?? headOf({});
    return { type: 'stream', held, heldText, head: heads, output };
  }

  private output(
    { message, alternatives, usage, model, finishReason }: Completion,
    asked: string,
    times: Pick<TurnOutput, 'firstTokenMs' | 'modelMs'>,
  ): TurnOutput {
    const modelUsed = model ?? asked;
    const priced = this.model instanceof DemoModel ? 'demo' : modelUsed;
    return {
      messages: [storedMessage(message)],
      before: null,
      alternatives: alternatives.map(storedMessage),
      finishReason,
      modelUsed,
      usage,
      costUsd: this.prices.cost(priced, usage) ?? this.prices.cost(asked, usage),
      ...times,
    };
  }
}

function headOf({ id, created }: JsonObject): AnswerHead {
  return { id, created };
}

function asShown(chunk: JsonObject, showUsage: boolean): string {
  return JSON.stringify(showUsage ? chunk : { ...chunk, usage: undefined });
}

/** An answer that came whole has its first text with its end. */
function timesOf(
  calledAt: number,
  firstTextAt: number | null,
): Pick<TurnOutput, 'firstTokenMs' | 'modelMs'> {
  return {
    firstTokenMs: firstTextAt === null ? null : Math.round(firstTextAt - calledAt),
    modelMs: Math.round(performance.now() - calledAt),
  };
}

function storedMessage(message: AssistantMessage): Message {
  const { tool_calls: calls, ...rest } = message;
  return calls === undefined ? rest : { ...rest, tool_calls: calls.map((call) => ({ ...call })) };
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > LIMITS.logRecord)
      throw new Error(`the model's answer is larger than ${LIMITS.logRecord} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
