import { HOP_BY_HOP } from '#libs/protocol';

/**
 * Credentials for this server, and what describes the caller's body and connection rather than
 * ours.
 */
const NOT_FORWARDED = new Set([
  'accept-encoding',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'host',
  'x-session-token',
]);

/**
 * Request headers for the upstream. The answer is asked for uncompressed: it is read event by
 * event, and passed on as it is.
 */
export function upstreamRequestHeaders(
  given: Readonly<Record<string, string>> | undefined,
  apiKey: string | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'accept-encoding': 'identity',
  };
  if (apiKey !== undefined) headers['authorization'] = `Bearer ${apiKey}`;
  if (given === undefined) return headers;
  const dropped = namedByConnection(given);
  for (const [key, value] of Object.entries(given)) {
    const name = key.toLowerCase();
    if (!HOP_BY_HOP.has(name) && !NOT_FORWARDED.has(name) && !dropped.has(name))
      headers[name] = value;
  }
  return headers;
}

/**
 * What a request that is passed on untouched does not carry: credentials for this server, and what
 * tells of the way to it. How the body is encoded stays, because the body goes on as it is.
 */
const NOT_PASSED_ON = new Set([
  'api-key',
  'authorization',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'origin',
  'referer',
  'x-agent-id',
  'x-api-key',
  'x-session-token',
]);

/** Request headers for the upstream, of a request that is passed on as it came. */
export function forwardedRequestHeaders(
  given: Readonly<Record<string, string>>,
  apiKey: string | undefined,
): Record<string, string> {
  const dropped = namedByConnection(given);
  const headers = Object.entries(given).filter(
    ([name]) =>
      !HOP_BY_HOP.has(name) &&
      !NOT_PASSED_ON.has(name) &&
      !name.startsWith('x-forwarded-') &&
      !dropped.has(name),
  );
  return {
    ...Object.fromEntries(headers),
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
}

/**
 * Response headers for the caller. Cookies of the upstream, and which pages may read its answers,
 * belong to its own origin, so they end here.
 */
export function downstreamResponseHeaders(
  received: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  const dropped = namedByConnection(received);
  for (const [key, value] of Object.entries(received)) {
    const name = key.toLowerCase();
    if (value === undefined || endsHere(name) || dropped.has(name)) continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

function endsHere(name: string): boolean {
  return name === 'set-cookie' || name.startsWith('access-control-') || HOP_BY_HOP.has(name);
}

function namedByConnection(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ReadonlySet<string> {
  for (const [key, value] of Object.entries(headers)) {
    if (key.toLowerCase() !== 'connection' || value === undefined) continue;
    return new Set(
      String(value)
        .toLowerCase()
        .split(/[\s,]+/),
    );
  }
  return NOTHING;
}

const NOTHING: ReadonlySet<string> = new Set();
