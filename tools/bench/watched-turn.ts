import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ServerFrame } from '#libs/protocol';
import { HEADERS } from '#libs/protocol';
import { CompletionClient } from './completion-client.js';
import type { Call } from './completion-client.js';

export type ChunkFrame = Extract<ServerFrame, { type: 'TURN_CHUNK' }>;

const ATTACH_TIMEOUT_MS = 20_000;

/** A streamed turn of a session of its own, whose surface is attached in its middle. */
export class WatchedTurn {
  private constructor(
    private readonly client: CompletionClient,
    private readonly call: Call,
    private readonly socket: WebSocket,
  ) {}

  /**
   * `completionsUrl` runs it. Resolves when the surface is attached; from then on `onChunk` gets
   * each chunk as it comes.
   */
  static async begin(
    completionsUrl: string,
    surfaceUrl: string,
    onChunk: (chunk: ChunkFrame) => void,
  ): Promise<WatchedTurn> {
    const client = new CompletionClient(completionsUrl);
    const messages = [{ role: 'user', content: 'Go on until I say stop.' }];
    const body = { model: 'bench', stream: true, messages, sbp: { force_new_session: true } };
    const call = client.begin(body);
    const headers = await call.head;
    const sessionId = String(headers[HEADERS.sessionId]);
    const attached = Promise.withResolvers<undefined>();
    const socket = new WebSocket(`${surfaceUrl.replace('http', 'ws')}/v1/sbp/ws/${sessionId}`);
    socket.on('error', (error) => attached.reject(error));
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as ServerFrame;
      if (frame.type === 'TURN_CHUNK') onChunk(frame);
      else if (frame.type === 'SESSION_ATTACHED') attached.resolve(undefined);
      else if (frame.type === 'PING') socket.send('{"type":"PONG"}');
    });
    await once(socket, 'open', { signal: AbortSignal.timeout(ATTACH_TIMEOUT_MS) });
    const session_token = String(headers[HEADERS.sessionToken]);
    socket.send(JSON.stringify({ type: 'ATTACH_SESSION', session_id: sessionId, session_token }));
    await attached.promise;
    return new WatchedTurn(client, call, socket);
  }

  /**
   * The model has been told to finish: waits for the caller's answer, whatever it is, and lets the
   * surface go.
   */
  async end(): Promise<void> {
    await this.call.answered.catch(() => undefined);
    this.socket.close(1000);
    await once(this.socket, 'close');
    await this.client.close();
  }
}
