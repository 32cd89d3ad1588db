import { request as httpRequest } from 'node:http';
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import { endToEnd, forwardedHeaders, hasBody } from './headers.js';
import type { Replica } from './replicas.js';
import type { ServiceKind } from './routes.js';
import { UNAVAILABLE_STATUS, unavailable } from './unavailable.js';

/** What became of one attempt; `next`: another replica may be asked. */
type Attempt = 'taken' | 'next';

/**
 * Passes a request to the first of the candidates that takes a connection, and its response back as
 * it comes. A request that could do something is never sent again once a byte of it may have been
 * sent: if its replica breaks off before it answered, the client's connection is broken too,
 * because neither "done" nor "not done, try again" would be true.
 */
export async function proxyRequest(
  agent: Agent,
  kind: ServiceKind,
  candidates: readonly Replica[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const replica of candidates) {
    if (response.destroyed) return;
    if ((await attempt(agent, replica, request, response)) === 'taken') return;
  }
  const { headers, body } = unavailable(kind);
  response.writeHead(UNAVAILABLE_STATUS, headers).end(body);
}

function attempt(
  agent: Agent,
  replica: Replica,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Attempt> {
  return new Promise((resolve) => {
    let phase: 'unsent' | 'sent' | 'answered' = 'unsent';
    const { hostname, port } = new URL(replica.url);
    const { method, url: path } = request;
    const upstream = httpRequest({
      agent,
      hostname,
      port,
      method,
      path,
      headers: forwardedHeaders(request),
    });
    const onClientGone = (): void => {
      if (!response.writableFinished) upstream.destroy();
    };
    response.once('close', onClientGone);

    upstream.once('socket', (socket) => {
      const send = (): void => {
        phase = 'sent';
        request.pipe(upstream);
      };
      if (socket.connecting) socket.once('connect', send);
      else send();
    });
    upstream.once('response', (answer) => {
      phase = 'answered';
      resolve('taken');
      passBack(answer, response);
    });
    upstream.on('error', () => {
      request.unpipe(upstream);
      // An answer may come before the whole request was read; what becomes of it is seen by its own
      // end.
      if (phase === 'answered') {
        request.resume();
        return;
      }
      response.off('close', onClientGone);
      if (phase === 'unsent' || isRepeatable(request)) {
        resolve('next');
        return;
      }
      response.destroy();
      resolve('taken');
    });
  });
}

/** Whether sending it twice is the same as sending it once, and it can still be sent whole. */
function isRepeatable(request: IncomingMessage): boolean {
  return (request.method === 'GET' || request.method === 'HEAD') && !hasBody(request);
}

function passBack(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer));
  // An event stream is open before its first event.
  response.flushHeaders();
  answer.pipe(response);
  // A body that breaks off must look broken: no clean end is written for it.
  answer.once('close', () => {
    if (!answer.complete) response.destroy();
  });
  answer.on('error', () => response.destroy());
}
