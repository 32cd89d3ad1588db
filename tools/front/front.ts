import { Agent, createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { HEADERS, routeOf } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { requestIdOf } from '#libs/telemetry';
import { proxyRequest } from './proxy-request.js';
import type { Passage } from './proxy-request.js';
import { proxyUpgrade } from './proxy-upgrade.js';
import { answerReadiness } from './readiness.js';
import { Replicas } from './replicas.js';
import type { Replica } from './replicas.js';

/**
 * Longer than clients keep an idle connection, so that it is not closed under a request that is on
 * its way.
 */
const KEEP_ALIVE_MS = 75_000;

export interface Front {
  readonly url: string;
  /** Refuses new connections and breaks those that are open. */
  close(): Promise<void>;
}

/**
 * The one address in front of the services, on 127.0.0.1: it chooses the service by the route table
 * and its replica in turn, and passes event streams and WebSockets through unbuffered. Connections
 * to replicas are kept; Node takes one out of use before the replica's announced keep-alive time
 * ends. `/health/ready` it answers itself: it is ready when every service is.
 */
export async function startFront(port: number, all: readonly Replica[]): Promise<Front> {
  const replicas = new Replicas(all);
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 });
  const upgraded = new Set<Socket>();

  server.on('request', (request, response) => {
    const passage = passageOf(request, replicas);
    if (isReadiness(request)) void answerReadiness(agent, passage, response);
    else void proxyRequest(agent, passage, response);
  });
  server.on('upgrade', (request, client, head) => {
    if (!(client instanceof Socket)) {
      client.destroy();
      return;
    }
    upgraded.add(client);
    client.once('close', () => upgraded.delete(client));
    void proxyUpgrade(passageOf(request, replicas), client, head);
  });

  await listen(server, port);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        for (const socket of upgraded) socket.destroy();
        agent.destroy();
      }),
  };
}

function passageOf(request: IncomingMessage, replicas: Replicas): Passage {
  return {
    kind: serviceOf(request.method ?? 'GET', pathOf(request.url)),
    replicas,
    request,
    requestId: requestIdOf(request.headers[HEADERS.requestId]),
  };
}

/** What nobody knows goes to completions, which says 404. */
function serviceOf(method: string, pathname: string): ServiceName {
  const service = routeOf(method, pathname)?.service ?? 'completions';
  return service === 'all' ? 'sessions' : service;
}

function isReadiness({ method, url }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && pathOf(url) === '/health/ready';
}

function pathOf(url: string | undefined): string {
  return (url ?? '/').split('?', 1)[0] ?? '/';
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      reject(
        isTaken ? new Error(`Port ${port} is taken by another program.`, { cause: error }) : error,
      );
    });
    server.listen(port, '127.0.0.1', () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
