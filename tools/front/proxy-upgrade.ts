import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { endToEnd, forwardedHeaders, isDraining } from './headers.js';
import type { Passage } from './proxy-request.js';
import type { Replica } from './replicas.js';
import { UNAVAILABLE_STATUS, responseHead, unavailable } from './unavailable.js';

/** What became of asking one replica; `next`: another replica may be asked. */
type Asked = 'taken' | 'next';

/**
 * Passes a protocol upgrade to the first of the replicas that takes a connection and is not
 * shutting down, then every byte both ways.
 */
export async function proxyUpgrade(passage: Passage, client: Socket, head: Buffer): Promise<void> {
  const { kind, replicas, requestId } = passage;
  client.setNoDelay(true);
  client.on('error', () => client.destroy());
  for (const replica of replicas.inTurn(kind)) {
    if (client.destroyed) return;
    if ((await ask(replica, passage, client, head)) === 'taken') return;
  }
  const { headers, body } = unavailable(kind, requestId);
  client.end(
    responseHead(UNAVAILABLE_STATUS, undefined, [
      ...Object.entries(headers).flat(),
      'Connection',
      'close',
    ]) + body,
  );
}

function ask(
  replica: Replica,
  { replicas, request, requestId }: Passage,
  client: Socket,
  head: Buffer,
): Promise<Asked> {
  return new Promise((resolve) => {
    let phase: 'unsent' | 'sent' | 'refused' = 'unsent';
    const { pid } = replica;
    const { hostname, port } = new URL(replica.url);
    const upstream = httpRequest({
      agent: false,
      hostname,
      port,
      method: request.method,
      path: request.url,
      headers: [
        ...forwardedHeaders(request, requestId),
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
        phase = 'sent';
      }),
    );
    upstream.once('upgrade', (answer, server, serverHead) => {
      client.off('close', onClientGone);
      resolve('taken');
      client.write(responseHead(101, answer.statusMessage, answer.rawHeaders));
      join(client, head, server, serverHead);
    });
    upstream.once('response', (answer) => {
      if (!isDraining(answer)) {
        resolve('taken');
        refuse(answer, client);
        return;
      }
      phase = 'refused';
      replicas.isDraining(replica, pid);
      client.off('close', onClientGone);
      answer.on('error', () => undefined);
      upstream.destroy();
      resolve('next');
    });
    upstream.on('error', () => {
      client.off('close', onClientGone);
      if (phase === 'sent') client.destroy();
      resolve(phase === 'sent' ? 'taken' : 'next');
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
