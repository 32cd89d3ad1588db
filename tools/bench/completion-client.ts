import { Client } from 'undici';
import type { Dispatcher } from 'undici';

/** One answered request, times in ms since it was sent. */
export interface Answered {
  /** Until the first byte of the body came. */
  readonly firstByte: number;
  readonly total: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One connection to a completions endpoint, one request at a time; it costs as little of the machine as it can. */
export class CompletionClient {
  readonly #client: Client;

  constructor(url: string) {
    this.#client = new Client(url);
  }

  /** Rejects unless the answer is 200 and complete. */
  complete(body: object, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    const sent = performance.now();
    return new Promise((resolve, reject) => {
      this.#client.dispatch(
        {
          path: '/v1/chat/completions',
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        },
        new Timing(sent, resolve, reject),
      );
    });
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }
}

class Timing implements Dispatcher.DispatchHandler {
  #firstByte = 0;
  #headers: Answered['headers'] = {};

  constructor(
    private readonly sent: number,
    private readonly resolve: (answered: Answered) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  onRequestStart(): void {
    // Nothing: the time runs since the request was made.
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status !== 200) controller.abort(new Error(`answered ${status}`));
    this.#headers = headers;
  }

  onResponseData(): void {
    if (this.#firstByte === 0) this.#firstByte = performance.now() - this.sent;
  }

  onResponseEnd(): void {
    const total = performance.now() - this.sent;
    this.resolve({ firstByte: this.#firstByte, total, headers: this.#headers });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.reject(error);
  }
}
