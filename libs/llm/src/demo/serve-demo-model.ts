import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ModelResponse } from '../chat-model.js';
import { UpstreamUnavailable } from '../upstream/upstream-errors.js';
import { errorBody } from './demo-encoding.js';
import { DemoModel } from './demo-model.js';
import type { DemoOptions } from './demo-options.js';

const MAX_BODY_BYTES = 8 * 1024 * 1024;
/**
 * Longer than clients keep idle connections, so that a call never meets a connection that is being
 * closed.
 */
const KEEP_ALIVE_MS = 75_000;
/**
 * Connections not yet accepted: with the default of 511, thousands of callers at once wait for TCP
 * to try again.
 */
const BACKLOG = 4096;
const COMPLETION_PATHS: ReadonlySet<string | undefined> = new Set([
  '/v1/chat/completions',
  '/chat/completions',
]);

/** A demo model that listens. */
export interface DemoModelServer {
  /** As a base URL of OpenAI's clients, without `/v1`. */
  readonly url: string;
  /** Breaks off what is under way. */
  close(): Promise<void>;
}

/**
 * Serves the demo model over HTTP: `POST /v1/chat/completions` and `GET /v1/models` (also without
 * `/v1`) and `GET /health`. Port 0 takes any free one; the host is 127.0.0.1 unless given. Each
 * chunk is a write of its own.
 */
export async function serveDemoModel(
  options: DemoOptions & { readonly port: number; readonly host?: string },
): Promise<DemoModelServer> {
  const model = new DemoModel(options);
  const server = createServer((request, response) => {
    route(model, request, response).catch(() => request.socket.destroy());
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const host = options.host ?? '127.0.0.1';
  await listen(server, options.port, host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close: async () => {
      await model.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, BACKLOG, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function route(
  model: DemoModel,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url?.split('?', 1)[0];
  if (request.method === 'GET' && path === '/health') {
    send(response, 200, Buffer.from(JSON.stringify({ status: 'ok', model: model.description })));
  } else if (request.method === 'POST' && COMPLETION_PATHS.has(path)) {
    const body = await readBody(request);
    if (body === null) {
      // What is still to come of the body is not worth keeping the connection for.
      response.setHeader('connection', 'close');
      send(
        response,
        413,
        errorBody('The body of your request is too large.', 'invalid_request_error', null, null),
      );
    } else {
      await complete(model, body, response);
    }
  } else {
    request.resume();
    await pass(await forward(model, request, path ?? '/'), response);
  }
}

async function complete(
  model: DemoModel,
  body: Uint8Array,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the client has gone')));
  try {
    await pass(await model.complete({ body, signal: gone.signal }), response);
  } catch (fault) {
    if (fault instanceof UpstreamUnavailable || !response.headersSent) response.destroy();
    else breakOff(response);
  }
}

function forward(
  model: DemoModel,
  { method = 'GET' }: IncomingMessage,
  path: string,
): Promise<ModelResponse> {
  const { signal } = new AbortController();
  return model.forward({
    method,
    path: path.replace(/^\/v1\//, '/'),
    headers: {},
    body: null,
    signal,
  });
}

async function pass(answer: ModelResponse, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  for await (const bytes of answer.body) {
    if (response.write(bytes)) await nextTick();
    else await drained(response);
  }
  response.end();
}

/**
 * Ends the connection after what was written has left, without the end that HTTP asks for: the
 * client must notice.
 */
function breakOff(response: ServerResponse): void {
  response.flushHeaders();
  response.socket?.destroySoon();
}

/** Node merges the writes of one tick into one chunk; a model's tokens come one by one. */
function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    response.on('drain', go);
    response.on('close', go);
  });
}

/**
 * Null when the body is larger than the bound; the rest of it is then read and dropped, so that the
 * answer arrives.
 */
function readBody(request: IncomingMessage): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    let parts: Buffer[] = [];
    let length = 0;
    request.on('data', (part: Buffer) => {
      length += part.length;
      if (length <= MAX_BODY_BYTES) {
        parts.push(part);
      } else {
        parts = [];
        resolve(null);
      }
    });
    request.on('end', () => resolve(Buffer.concat(parts)));
    request.on('error', reject);
  });
}

function send(response: ServerResponse, status: number, body: Uint8Array): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': String(body.length),
  });
  response.end(body);
}
