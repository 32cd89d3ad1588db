import { request as httpRequest } from 'node:http';
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import type { ServiceName } from '#libs/protocol';
import { endToEnd, forwardedHeaders, hasBody, isDraining } from './headers.js';
import { KeptBody } from './kept-body.js';
import type { Replica, Replicas } from './replicas.js';
import { UNAVAILABLE_STATUS, unavailable } from './unavailable.js';

/** What became of asking one replica; `next`: another replica may be asked. */
type Asked = 'taken' | 'next';

/** One request on its way through. */
export interface Passage {
  readonly kind: ServiceName;
  readonly replicas: Replicas;
  readonly request: IncomingMessage;
  readonly requestId: string;
}

/**
 * Passes a request to the first of the replicas that takes it, and its response back as it comes.
 * Another replica is asked only where the first cannot have begun: it took no connection, or it
 * says that it is shutting down. Else a request that could do something is never sent again once a
 * byte of it may have been sent: if its replica breaks off before it answered, the client's
 * connection is broken too, because neither "done" nor "not done, try again" would be true.
 */
export async function proxyRequest(
  agent: Agent,
  passage: Passage,
  response: ServerResponse,
): Promise<void> {
  const { kind, replicas, request, requestId } = passage;
  const body = new KeptBody(request);
  for (const replica of replicas.inTurn(kind)) {
    if (response.destroyed) return;
    if ((await ask(agent, replica, passage, body, response)) === 'taken') return;
  }
  body.discard();
  const answer = unavailable(kind, requestId);
  response.writeHead(UNAVAILABLE_STATUS, answer.headers).end(answer.body);
}

function ask(
  agent: Agent,
  replica: Replica,
  { replicas, request, requestId }: Passage,
  body: KeptBody,
  response: ServerResponse,
): Promise<Asked> {
  return new Promise((resolve) => {
    let phase: 'unsent' | 'sent' | 'answered' | 'refused' = 'unsent';
    const { pid } = replica;
    const { hostname, port } = new URL(replica.url);
    const { method, url: path } = request;
    const upstream = httpRequest({
      agent,
      hostname,
      port,
      method,
      path,
      headers: forwardedHeaders(request, requestId),
    });
    const onClientGone = (): void => {
      if (!response.writableFinished) upstream.destroy();
    };
    response.once('close', onClientGone);
    const tryNext = (): void => {
      body.detach();
      response.off('close', onClientGone);
      resolve('next');
    };

    upstream.once('socket', (socket) => {
      const send = (): void => {
        phase = 'sent';
        body.sendTo(upstream);
      };
      if (socket.connecting) socket.once('connect', send);
      else send();
    });
    upstream.once('response', (answer) => {
      if (isDraining(answer)) replicas.isDraining(replica, pid);
      if (isDraining(answer) && body.isWhole) {
        phase = 'refused';
        tryNext();
        answer.on('error', () => undefined);
        upstream.destroy();
        return;
      }
      phase = 'answered';
      body.keepNoMore();
      resolve('taken');
      passBack(answer, response);
    });
    upstream.on('error', () => {
      switch (phase) {
        case 'refused':
          return;
        case 'answered':
          // An answer may come before the whole request was read; what becomes of it is seen by its
          // own end.
          body.discard();
          return;
        case 'sent':
          if (isRepeatable(request)) break;
          response.destroy();
          resolve('taken');
          return;
        case 'unsent':
      }
      tryNext();
    });
  });
}

/** Whether sending it twice is the same as sending it once. */
function isRepeatable(request: IncomingMessage): boolean {
  return (request.method === 'GET' || request.method === 'HEAD') && !hasBody(request);
}

/** How long a client may take for what is left of a body that broke off, in ms. */
const BROKEN_MS = 60_000;

/**
 * A client that reads slowly holds up the replica's connection, and not the answer that is read
 * from it: what an answer keeps is lost when it breaks off, and its last bytes may say why it does.
 */
function passBack(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer));
  // An event stream is open before its first event.
  response.flushHeaders();
  const { socket } = answer;
  answer.on('data', (bytes: Buffer) => {
    if (!response.write(bytes)) socket.pause();
  });
  response.on('drain', () => socket.resume());
  answer.once('end', () => response.end());
  // Its close follows.
  answer.on('error', () => undefined);
  answer.once('close', () => {
    if (!answer.complete) breakOff(response);
  });
}

/** A body that breaks off must look broken: no clean end is written for it, but all that came. */
function breakOff(response: ServerResponse): void {
  const timer = setTimeout(() => response.destroy(), BROKEN_MS);
  response.once('close', () => clearTimeout(timer));
  response.write('', () => response.destroy());
}
