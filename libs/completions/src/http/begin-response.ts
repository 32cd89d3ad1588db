import type { ServerResponse } from 'node:http';

/**
 * Sends a response's head at once; with what there is of the body already, in one write to the
 * socket.
 */
export function beginResponse(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  response.cork();
  response.writeHead(status, headers);
  response.flushHeaders();
  process.nextTick(() => {
    // Its end has uncorked it already.
    if (!response.writableEnded) response.uncork();
  });
}
