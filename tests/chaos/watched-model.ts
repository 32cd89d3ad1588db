import type { ModelRequest, ModelResponse } from '#libs/llm';
import { ChatModel } from '#libs/llm';
import type { KillPoints } from './kill-points.js';

/** The model, with the kill point where its calls are ended because their turns are handed over. */
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
    const { signal } = request;
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
