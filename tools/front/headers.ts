import type { IncomingMessage } from 'node:http';
import { HEADERS, HOP_BY_HOP } from '#libs/protocol';

/**
 * Raw headers: names and values in turn, as Node gives and takes them, in their order and with
 * repeats.
 */
type RawHeaders = readonly string[];

/** The headers of a message without those that belong to one connection only (RFC 9110, 7.6.1). */
export function endToEnd(message: IncomingMessage): string[] {
  const named = (message.headers.connection ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  return without(message.rawHeaders, (name) => HOP_BY_HOP.has(name) || named.includes(name));
}

/**
 * What a request carries on: its own end-to-end headers with `Host` as it came, its id, and who
 * asked. The front is the first server that the client meets, so what the client itself claims to
 * have been forwarded is dropped.
 */
export function forwardedHeaders(request: IncomingMessage, requestId: string): string[] {
  const own = without(
    endToEnd(request),
    // `Expect` was answered by the front's own server.
    (name) =>
      name === 'expect' ||
      name === 'forwarded' ||
      name === HEADERS.requestId ||
      name.startsWith('x-forwarded-'),
  );
  const { host } = request.headers;
  return [
    ...own,
    ...bodyFraming(request),
    'X-Request-Id',
    requestId,
    'X-Forwarded-For',
    request.socket.remoteAddress ?? '',
    'X-Forwarded-Proto',
    'http',
    ...(host === undefined ? [] : ['X-Forwarded-Host', host]),
  ];
}

/**
 * How the body's end is told is each connection's own affair, so it is said again, also where there
 * is no body.
 */
function bodyFraming({ headers, method }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  if (headers['content-length'] !== undefined || method === 'GET' || method === 'HEAD') return [];
  return ['Content-Length', '0'];
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Whether a replica refused because it is shutting down: then it has not begun. */
export function isDraining({ statusCode, headers }: IncomingMessage): boolean {
  return statusCode === 503 && headers[HEADERS.draining] === '1';
}

function without(headers: RawHeaders, isDropped: (lowerCaseName: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    if (!isDropped(name.toLowerCase())) kept.push(name, value);
  }
  return kept;
}
