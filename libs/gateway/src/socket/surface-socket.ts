import type { Close, ServerFrame } from '#libs/protocol';
import type { WebSocket } from 'ws';

/** `gone`: the socket is closing or closed; nobody knows what of the frame arrived. */
export type SendOutcome = 'written' | 'gone';

/**
 * The way out to one surface: every frame that it gets passes here, in the order of the calls.
 * Nothing rejects or throws: a socket that fails is `gone`, and its close is reported where frames
 * come in.
 */
export abstract class SurfaceSocket {
  /** Bytes handed over that the operating system has not taken yet. */
  abstract readonly bufferedBytes: number;
  /** Resolves when the operating system has taken the frame: a slow reader makes it slow. */
  abstract send(frame: ServerFrame): Promise<SendOutcome>;
  /** The WebSocket's own ping, after all frames sent so far; its pong carries the payload back. */
  abstract ping(payload: string): void;
  /** Begins the closing handshake, after all frames sent so far; nothing can be sent after it. */
  abstract close(close: Close): void;
}

/** Makes the way out for a WebSocket that was just opened. */
export abstract class SurfaceSockets {
  abstract open(client: WebSocket): SurfaceSocket;
}
