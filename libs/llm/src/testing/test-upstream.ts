import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createSocketServer } from 'node:net';
import { afterEach } from 'vitest';
import type { ModelResponse } from '../chat-model.js';
import { OpenAiCompatibleModel } from '../upstream/openai-compatible-model.js';
import type { UpstreamOptions } from '../upstream/upstream.js';

/** A request as an upstream got it. */
interface Seen {
  readonly request: IncomingMessage;
  readonly body: string;
}

/** Upstreams of a test, and models in front of them; all end with it. */
export function useUpstream() {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const clean of cleanup.splice(0).reverse()) await clean();
  });

  function connectTo(options: UpstreamOptions): OpenAiCompatibleModel {
    const model = new OpenAiCompatibleModel(options);
    cleanup.push(() => model.close());
    return model;
  }

  /** Listens, and returns the base URL. */
  async function listen(server: Server): Promise<string> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  const serve = (listener: RequestListener): Promise<string> => listen(createServer(listener));

  /** Answers each connection with these bytes, once a request has begun. */
  const serveBytes = (then: (socket: Socket) => void): Promise<string> =>
    listen(
      createSocketServer(
        (socket) => void socket.on('error', () => undefined).once('data', () => then(socket)),
      ),
    );

  /** Notes each request, and answers `{}`. */
  async function record(): Promise<{ readonly baseUrl: string; readonly seen: readonly Seen[] }> {
    const seen: Seen[] = [];
    const baseUrl = await serve((request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        seen.push({ request, body });
        response.end('{}');
      });
    });
    return { baseUrl, seen };
  }

  return { cleanup, connectTo, listen, serve, serveBytes, record };
}

export async function textOf(response: ModelResponse): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  return Buffer.concat(parts).toString();
}
