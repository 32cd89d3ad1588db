import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it reached the upstream. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

type Answer = (request: IncomingMessage, response: ServerResponse, received: Received) => void;

/** An API behind the server that records what it is asked, and answers as each test says. */
export class FakeUpstream {
  readonly received: Received[] = [];
  /** By path, without the query; 404 in OpenAI's form where there is none. */
  readonly answers = new Map<string, Answer>();
  /** By path: called with the request before its body is read; the test reads it. */
  readonly early = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();

  private constructor(private readonly server = createServer()) {
    server.on('request', (request, response) => this.take(request, response));
  }

  static async start(): Promise<FakeUpstream> {
    const upstream = new FakeUpstream();
    await new Promise<void>((resolve) => upstream.server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.port}/api/v1`;
  }

  /** The last request for a path. */
  last(path: string): Received | undefined {
    return this.received.findLast(({ url }) => pathOf(url) === path);
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve).closeAllConnections());
  }

  private take(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request.url ?? '');
    const early = this.early.get(path);
    if (early !== undefined) {
      early(request, response);
      return;
    }
    const parts: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const received = { method, url, headers, body: Buffer.concat(parts) };
      this.received.push(received);
      (this.answers.get(path) ?? notFound)(request, response, received);
    });
  }
}

/** Answers with JSON. */
export function json(body: object, status = 200): Answer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
}

const notFound = json({ error: { message: 'no', type: 'invalid_request_error' } }, 404);

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
