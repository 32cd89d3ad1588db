import { Client } from 'undici';
import type { Dispatcher } from 'undici';

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** One answered request, times in ms since it was sent. */
export interface Answered {
  /** Until the first byte of the body came. */
  readonly firstByte: number;
  readonly total: number;
  readonly headers: ResponseHeaders;
}

/** A request that was sent. Both reject unless the status is 200. */
export interface Call {
  readonly head: Promise<ResponseHeaders>;
  /** Rejects, too, if the answer breaks off. */
  readonly answered: Promise<Answered>;
}

/**
 * One connection to a completions endpoint, one request at a time; it costs as little of the
 * machine as it can.
 */
export class CompletionClient {
  private readonly client: Client;

  constructor(url: string) {
    this.client = new Client(url);
  }

  complete(body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    return this.begin(body, headers).answered;
  }

  begin(body: object, headers: Readonly<Record<string, string>> = {}): Call {
    const call = new TimedCall();
    this.client.dispatch(
      {
        path: '/v1/chat/completions',
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      },
      call,
    );
    const head = call.head.promise;
    const answered = call.answered.promise;
    // Who wants to know of a failure waits for one of them.
    head.catch(() => undefined);
    answered.catch(() => undefined);
    return { head, answered };
  }

  close(): Promise<void> {
    return this.client.destroy();
  }
}

class TimedCall implements Dispatcher.DispatchHandler {
  readonly head = Promise.withResolvers<ResponseHeaders>();
  readonly answered = Promise.withResolvers<Answered>();
  private readonly sent = performance.now();
  private firstByteAt = 0;
  private headers: ResponseHeaders = {};

  onRequestStart(): void {
    // Nothing: the time runs since the request was made.
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: ResponseHeaders,
  ): void {
    if (status !== 200) controller.abort(new Error(`answered ${status}`));
    this.headers = headers;
    this.head.resolve(headers);
  }

  onResponseData(): void {
    if (this.firstByteAt === 0) this.firstByteAt = performance.now() - this.sent;
  }

  onResponseEnd(): void {
    const total = performance.now() - this.sent;
    this.answered.resolve({ firstByte: this.firstByteAt, total, headers: this.headers });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.head.reject(error);
    this.answered.reject(error);
  }
}
