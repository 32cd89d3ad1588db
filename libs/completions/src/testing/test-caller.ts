import type { JsonObject, SbpError } from '#libs/protocol';
import type { Caller, SessionHeaders } from '../http/caller.js';

/** A caller that notes what it is told, in words. */
export class TestCaller implements Caller {
  connected = true;
  /** Whether what ends the exchange arrives. */
  isReached = true;
  /** What it was told last by `fail`. */
  failure: SbpError | null = null;
  session: SessionHeaders | null = null;

  constructor(readonly seen: string[] = []) {}

  onGone(): void {
    // Nobody asks a caller that only listens.
  }

  begin(_head: unknown, session: SessionHeaders): void {
    this.session = session;
    this.seen.push('begin');
  }

  chunk(data: string): void {
    const { choices, sbp } = JSON.parse(data) as {
      readonly choices: readonly { readonly finish_reason: string | null }[];
      readonly sbp?: object;
    };
    const isLast = choices.some((choice) => choice.finish_reason !== null);
    this.seen.push(isLast ? 'finish' : 'chunk');
    if (sbp !== undefined) this.seen.push('sbp');
  }

  done(): Promise<boolean> {
    return this.end('done');
  }

  answer(_head: unknown, session: SessionHeaders, body: JsonObject): Promise<boolean> {
    this.session = session;
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
    this.seen.push(what);
    return Promise.resolve(this.isReached);
  }
}
