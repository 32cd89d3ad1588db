import { STATUS_CODES } from 'node:http';
import { HEADERS, SbpError } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';

export const UNAVAILABLE_STATUS = 503;
const RETRY_AFTER_S = '1';

/**
 * The answer while no replica of a kind takes connections. Nothing has reached a service, so a
 * retry is safe.
 */
export function unavailable(
  kind: ServiceName,
  requestId: string,
): {
  readonly headers: Record<string, string>;
  readonly body: string;
} {
  const message = `No ${kind} service is available at the moment.`;
  const error = new SbpError('SBP_UPSTREAM_UNAVAILABLE', message);
  const form = kind === 'completions' ? 'completions' : 'control';
  const body = JSON.stringify(error.body(form, requestId));
  return {
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(body)),
      'Retry-After': RETRY_AFTER_S,
      [HEADERS.requestId]: requestId,
    },
    body,
  };
}

/** The head of a response as bytes, for a socket that Node's server has given up to us. */
export function responseHead(
  status: number,
  reason: string | undefined,
  headers: readonly string[],
): string {
  const lines = [`HTTP/1.1 ${status} ${reason ?? STATUS_CODES[status] ?? ''}`];
  for (let at = 0; at + 1 < headers.length; at += 2)
    lines.push(`${headers[at] ?? ''}: ${headers[at + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
