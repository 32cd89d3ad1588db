import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import type { DiagnosticsChannel } from 'undici';
import { buildConnector } from 'undici';

interface Use {
  /** Requests that were written to the connection. */
  readonly requests: number;
  /** Bytes that had come on it when the last of them was written. */
  readonly bytesRead: number;
}

const uses = new WeakMap<object, Use>();
const stale = new WeakSet<Error>();

// Only here the client tells which connection a request takes.
subscribe('undici:client:sendHeaders', (message) => {
  const { socket } = message as DiagnosticsChannel.ClientSendHeadersMessage;
  const { requests } = uses.get(socket) ?? { requests: 0 };
  uses.set(socket, { requests: requests + 1, bytesRead: socket.bytesRead });
});

/** Connects as undici does, and notes which connections break in a way that `wasStale` tells. */
export function connectorFor(timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false });
  return (options, callback) => {
    connect(options, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      socket.prependListener('error', (fault: Error) => note(socket, fault));
      callback(null, socket);
    });
  };
}

/**
 * Whether a call failed because its connection, which had served earlier calls, was closed before a
 * byte of this answer: a server that closes idle connections does that to the request that is on
 * its way, and has not begun it.
 */
export function wasStale(fault: unknown): boolean {
  return fault instanceof Error && stale.has(fault);
}

function note(socket: Socket, fault: Error): void {
  const use = uses.get(socket);
  if (use !== undefined && use.requests > 1 && use.bytesRead === socket.bytesRead) stale.add(fault);
}
