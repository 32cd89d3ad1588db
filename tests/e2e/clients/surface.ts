import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { SurfaceClient, surfaceUrl } from '#libs/testing';

export interface SessionKey {
  readonly session_id: string;
  readonly session_token: string;
}

export interface SurfaceOptions {
  readonly context?: unknown;
  /** Whether the client's library answers WebSocket pings, as all do unless told otherwise. */
  readonly autoPong?: boolean;
}

/** Says of itself that it answers each PING, so that only its PONGs count. */
export const ACKNOWLEDGES: SurfaceOptions = { context: { acknowledges: true } };

/** A surface of a running server. */
export class Surface extends SurfaceClient {
  /** Its close code. */
  readonly closed = this.ended.then(({ code }) => code);

  /** Opens a socket; sends nothing. */
  static connect(url: string, sessionId: string, options: ClientOptions = {}): Promise<Surface> {
    return new Surface(new WebSocket(surfaceUrl(url, sessionId), options)).opened();
  }

  /** Connects, attaches, and waits for SESSION_ATTACHED. */
  static async attach(
    url: string,
    key: SessionKey,
    { context, autoPong = true }: SurfaceOptions = {},
  ) {
    const surface = await Surface.connect(url, key.session_id, { autoPong });
    surface.attach(key, context);
    const attached = await surface.next('SESSION_ATTACHED');
    return Object.assign(surface, { attached });
  }

  attach({ session_id, session_token }: SessionKey, context?: unknown): void {
    this.askToAttach(session_id, session_token, context);
  }

  sendRaw(data: string | Buffer): void {
    this.socket.send(data);
  }

  pong(): void {
    this.send({ type: 'PONG' });
  }

  /**
   * Answers the PING that follows what has come, and says nothing more: a client that has read
   * everything.
   */
  async acknowledge(): Promise<void> {
    await this.next('PING');
    this.pong();
  }

  /** Leaves by DETACH. */
  async detach(): Promise<number> {
    this.send({ type: 'DETACH' });
    return this.closed;
  }

  /** Leaves by closing the WebSocket with this code. */
  async close(code: number): Promise<number> {
    this.socket.close(code);
    return this.closed;
  }

  /** Is cut off. */
  async drop(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }
}

/** The status of an upgrade that was refused. */
export async function refusedUpgrade(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers });
  return new Promise<number | 'opened'>((resolve) => {
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('open', () => {
      resolve('opened');
      socket.terminate();
    });
    socket.on('error', () => undefined);
  });
}
