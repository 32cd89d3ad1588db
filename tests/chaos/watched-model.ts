import type { ModelRequest, ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { KillPoints } from './kill-points.js';

/**
 * The model, with the kill points where its calls are ended because their turns are handed over,
 * and where it is about to be told what tools have returned.
 */
export class WatchedModel extends ChatModel {
  constructor(
    private readonly inner: ChatModel,
    private readonly points: KillPoints,
  ) {
    super();
  }

  override get description(): string {
    return this.inner.description;
  }

  override complete(request: ModelRequest): Promise<ModelResponse> {
    const { body, signal } = request;
    if (endsWithResult(body)) this.points.pass('S6');
    signal.addEventListener('abort', () => {
      const { reason } = signal as { readonly reason: unknown };
      if (reason instanceof Error && reason.name === 'HandedOver') this.points.pass('H1');
    });
    return this.inner.complete(request);
  }

  override close(): Promise<void> {
    return this.inner.close();
  }
}

/** Whether the last message of a request is what a tool has returned; messages come last. */
function endsWithResult(body: ModelRequest['body']): boolean {
  const pieces = body instanceof Uint8Array ? [body] : body;
  const end = Buffer.concat(pieces).subarray(-2_000).toString();
  return end.lastIndexOf('"role":"tool"') > end.lastIndexOf('"role":"user"');
}
