import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { endToEnd, forwardedHeaders } from './headers.js';
import type { Replica } from './replicas.js';
import type { ServiceKind } from './routes.js';
import { UNAVAILABLE_STATUS, responseHead, unavailable } from './unavailable.js';

type Attempt = 'taken' | 'unsent';

/**
 * Passes a protocol upgrade to the first of the candidates that takes a connection, then every byte
 * both ways.
 */
export async function proxyUpgrade(
  kind: ServiceKind,
  candidates: readonly Replica[],
  request: IncomingMessage,
  client: Socket,
  head: Buffer,
): Promise<void> {
  client.setNoDelay(true);
  client.on('error', () => client.destroy());
  for (const replica of candidates) {
    if (client.destroyed) return;
    if ((await attempt(replica, request, client, head)) === 'taken') return;
  }
  const { headers, body } = unavailable(kind);
  client.end(
    responseHead(UNAVAILABLE_STATUS, undefined, [
      ...Object.entries(headers).flat(),
      'Connection',
      'close',
    ]) + body,
  );
}

function attempt(
  replica: Replica,
  request: IncomingMessage,
  client: Socket,
  head: Buffer,
): Promise<Attempt> {
  return new Promise((resolve) => {
    let isSent = false;
    const { hostname, port } = new URL(replica.url);
    const upstream = httpRequest({
      agent: false,
      hostname,
      port,
      method: request.method,
      path: request.url,
      headers: [
        ...forwardedHeaders(request),
        'Connection',
        'Upgrade',
        'Upgrade',
        request.headers.upgrade ?? '',
      ],
    });
    const onClientGone = (): void => {
      upstream.destroy();
    };
    client.once('close', onClientGone);
    upstream.once('socket', (socket) =>
      socket.once('connect', () => {
        isSent = true;
        resolve('taken');
      }),
    );
    upstream.once('upgrade', (answer, server, serverHead) => {
      client.off('close', onClientGone);
      client.write(responseHead(101, answer.statusMessage, answer.rawHeaders));
      join(client, head, server, serverHead);
    });
    upstream.once('response', (answer) => refuse(answer, client));
    upstream.on('error', () => {
      client.off('close', onClientGone);
      if (isSent) client.destroy();
      else resolve('unsent');
    });
    upstream.end();
  });
}

/** The service answered with something else than the new protocol. */
function refuse(answer: IncomingMessage, client: Socket): void {
  const headers = [...endToEnd(answer), 'Connection', 'close'];
  client.write(responseHead(answer.statusCode ?? 502, answer.statusMessage, headers));
  answer.once('close', () => {
    if (!answer.complete) client.destroy();
  });
  answer.pipe(client);
}

function join(client: Socket, head: Buffer, server: Socket, serverHead: Buffer): void {
  server.setNoDelay(true);
  server.setTimeout(0);
  client.setTimeout(0);
  if (serverHead.length > 0) client.write(serverHead);
  if (head.length > 0) server.write(head);
  client.pipe(server);
  server.pipe(client);
  // Whichever side goes takes the other with it, after what was already passed on.
  client.once('close', () => server.destroySoon());
  server.once('close', () => client.destroySoon());
  server.on('error', () => client.destroy());
  client.on('error', () => server.destroy());
}
