import type { Dispatcher } from 'undici';
import type { ModelResponse } from '../chat-model.js';
import { plainFault, UpstreamBroken, UpstreamUnavailable } from './upstream-errors.js';
import { downstreamResponseHeaders } from './upstream-headers.js';

/** Bytes that may wait for a slow reader before the upstream is held back. */
const HIGH_WATER_BYTES = 64 * 1024;

interface Waiting {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(reason: Error): void;
}

/**
 * One HTTP call: receives what the connection pool reports, and is the response's body. A stream,
 * which would do the same, drops what it holds when the connection breaks; here everything that
 * came is read before the fault is thrown.
 */
export class UpstreamCall
  implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array, undefined>
{
  private readonly responseHead = Promise.withResolvers<ModelResponse>();
  private controller: Dispatcher.DispatchController | null = null;
  private answered = false;
  private complete = false;
  private fault: { readonly reason: Error } | null = null;
  private chunks: Uint8Array[] = [];
  private size = 0;
  private waiting: Waiting | null = null;
  private readonly onAbort = (): void => {
    this.stop(this.signal.reason as Error);
  };

  constructor(private readonly signal: AbortSignal) {
    if (signal.aborted) this.onAbort();
    else signal.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Settles as `ChatModel.complete` says. */
  get head(): Promise<ModelResponse> {
    return this.responseHead.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // Aborted while it waited for a connection: nothing has been sent.
    if (this.fault !== null) controller.abort(this.fault.reason);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return;
    this.answered = true;
    this.responseHead.resolve({ status, headers: downstreamResponseHeaders(headers), body: this });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.waiting !== null) {
      this.take()?.resolve({ done: false, value: chunk });
      return;
    }
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size >= HIGH_WATER_BYTES) controller.pause();
  }

  onResponseEnd(): void {
    this.complete = true;
    this.unlisten();
    this.take()?.resolve({ done: true, value: undefined });
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    const problem = plainFault(cause);
    this.fail(
      this.answered
        ? new UpstreamBroken(`the answer broke off: ${problem}`, { cause })
        : new UpstreamUnavailable(problem, { cause }),
    );
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.chunks.shift();
    if (chunk !== undefined) {
      if (this.signal.aborted) return Promise.reject(this.signal.reason as Error);
      this.size -= chunk.length;
      if (this.size < HIGH_WATER_BYTES && this.controller?.paused === true)
        this.controller.resume();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.fault !== null) return Promise.reject(this.fault.reason);
    if (this.complete) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.chunks = [];
    if (!this.complete) this.stop(new UpstreamBroken('the body was left before its end'));
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Ends the call from our side: nothing that waits to be read is worth reading. */
  private stop(reason: Error): void {
    this.chunks = [];
    this.fail(reason);
    this.controller?.abort(reason);
  }

  private fail(reason: Error): void {
    // The pool reports our own abort as an error, too: the first reason counts.
    if (this.fault !== null) return;
    this.fault = { reason };
    this.unlisten();
    this.responseHead.reject(reason);
    this.take()?.reject(reason);
  }

  private take(): Waiting | null {
    const waiting = this.waiting;
    this.waiting = null;
    return waiting;
  }

  private unlisten(): void {
    this.signal.removeEventListener('abort', this.onAbort);
  }
}
