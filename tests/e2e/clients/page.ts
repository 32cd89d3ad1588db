/** What a page may read of an answer from another origin without being told so. */
const ALWAYS_READABLE = [
  'cache-control',
  'content-language',
  'content-length',
  'content-type',
  'expires',
  'last-modified',
  'pragma',
];
/** What a page may send to another origin without asking. */
const ALWAYS_SENT = ['accept', 'accept-language', 'content-language'];
const ALWAYS_ASKED = ['GET', 'HEAD', 'POST'];

/** One preflight as browsers send it. */
export function preflight(
  url: string,
  origin: string,
  method: string,
  headers: readonly string[],
): Promise<Response> {
  return fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': headers.toSorted().join(','),
      'access-control-request-private-network': 'true',
    },
  });
}

/**
 * `fetch` as a page of `origin` has it (the CORS protocol of the Fetch standard): it asks before
 * each request, throws where it is not let, and shows of an answer only what the page may read.
 */
export function pageFetch(origin: string): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const { url, method } = request;
    const names = [...request.headers.keys()].filter((name) => !ALWAYS_SENT.includes(name));
    const asked = await preflight(url, origin, method, names);
    const allowed = listed(asked, 'access-control-allow-headers');
    const methods = listed(asked, 'access-control-allow-methods');
    if (!asked.ok || !mayRead(asked, origin)) throw new TypeError('the preflight was refused');
    if (asked.headers.get('access-control-allow-private-network') !== 'true')
      throw new TypeError('this machine may not be reached');
    if (!ALWAYS_ASKED.includes(method) && !methods.includes(method.toLowerCase()))
      throw new TypeError(`${method} is not allowed`);
    const refused = names.filter((name) => !allowed.includes(name));
    if (refused.length > 0) throw new TypeError(`${refused.join()} may not be sent`);
    request.headers.set('origin', origin);
    const answer = await fetch(request);
    if (!mayRead(answer, origin)) throw new TypeError('the page may not read the answer');
    const readable = [...ALWAYS_READABLE, ...listed(answer, 'access-control-expose-headers')];
    const shown = [...answer.headers].filter(([name]) => readable.includes(name));
    return new Response(answer.body, { status: answer.status, headers: shown });
  };
}

function mayRead({ headers }: Response, origin: string): boolean {
  // A cache must not give one origin's answer to another.
  const varies = /\borigin\b/i.test(headers.get('vary') ?? '');
  return headers.get('access-control-allow-origin') === origin && varies;
}

function listed({ headers }: Response, name: string): readonly string[] {
  return (headers.get(name) ?? '').split(',').map((each) => each.trim().toLowerCase());
}
