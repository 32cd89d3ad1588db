import type { ModelResponse } from '#libs/llm';
import type { JsonObject, SbpError } from '#libs/protocol';
import type { Caller, SessionHeaders } from '../http/caller.js';

/** A caller that notes what it is told, in words. */
export class TestCaller implements Caller {
  connected = true;
  answered = false;
  /** Whether what ends the exchange arrives. */
  isReached = true;
  /** What it was told last by `fail`. */
  failure: SbpError | null = null;
  session: SessionHeaders | null = null;
  /** What has come of a stream. */
  text = '';
  /** What it was told last by `answer`. */
  body: JsonObject | null = null;

  private readonly goneListeners: (() => void)[] = [];

  constructor(readonly seen: string[] = []) {}

  onGone(listener: () => void): void {
    this.goneListeners.push(listener);
  }

  leave(): void {
    this.connected = false;
    this.isReached = false;
    for (const listener of this.goneListeners) listener();
  }

  begin(_head: unknown, session: SessionHeaders): void {
    this.session = session;
    this.answered = true;
    this.seen.push('begin');
  }

  chunk(data: string): void {
    const { choices, sbp } = JSON.parse(data) as {
      readonly choices: readonly {
        readonly delta?: { readonly content?: string };
        readonly finish_reason: string | null;
      }[];
      readonly sbp?: object;
    };
    this.text += choices[0]?.delta?.content ?? '';
    const isLast = choices.some((choice) => choice.finish_reason !== null);
    this.seen.push(isLast ? 'finish' : 'chunk');
    if (sbp !== undefined) this.seen.push('sbp');
  }

  done(): Promise<boolean> {
    return this.end('done');
  }

  answer(head: ModelResponse, session: SessionHeaders, body: JsonObject): Promise<boolean> {
    this.session = session;
    this.body = body;
    if (head.status !== 200) return this.end(`answer ${head.status}`);
    return this.end(`answer with ${'sbp' in body ? 'sbp' : 'nothing'}`);
  }

  relay(): Promise<boolean> {
    return this.end('relay');
  }

  fail(error: SbpError, session: SessionHeaders | null): Promise<boolean> {
    this.failure = error;
    this.session = session;
    return this.end(`fail ${error.code}`);
  }

  private end(what: string): Promise<boolean> {
    this.answered = true;
    this.seen.push(what);
    return Promise.resolve(this.isReached);
  }
}
