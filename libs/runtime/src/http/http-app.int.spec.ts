import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { connect } from 'node:net';
import {
  Body,
  ConflictException,
  Controller,
  Get,
  HttpCode,
  Module,
  Param,
  Post,
  Query,
  Res,
} from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  ERRORS,
  ExportRequest,
  LIMITS,
  MessagesQuery,
  parseJsonBody,
  parseQuery,
  requireUuid,
  SbpError,
} from '#libs/protocol';
import type { ErrorCode } from '#libs/protocol';
import { createLogger } from '#libs/telemetry';
import type { FastifyReply } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addressOf } from '../health/announce.js';
import { parseSettings } from '../settings/settings.js';
import { createHttpApp } from './http-app.js';

const SECRET_FAULT = 'password=hunter2';

@Controller('v1')
class ProbeController {
  @Post(['sbp/bytes', 'chat/completions'])
  @HttpCode(200)
  bytes(@Body() body: Buffer | undefined): object {
    if (body?.toString().startsWith('{"fail"'))
      throw new SbpError('SBP_INVALID_REQUEST', 'fail: no', { param: 'fail' });
    return { isBuffer: Buffer.isBuffer(body), length: body?.length ?? 0 };
  }

  @Post('sbp/sessions/:id/export')
  export(@Param('id') id: string, @Body() body: Buffer | undefined): object {
    return { id: requireUuid(id, 'session_id'), ...parseJsonBody(body, ExportRequest) };
  }

  @Get('sbp/sessions/:id/messages')
  messages(@Query() query: unknown): object {
    return parseQuery(query, MessagesQuery);
  }

  @Get('sbp/token/:token')
  token(@Param('token') token: string): object {
    return { length: token.length };
  }

  @Get('sbp/errors/:code')
  error(@Param('code') code: ErrorCode): void {
    throw new SbpError(code, `It is ${code}.`, { detail: { a: 1 }, retryAfter: 7 });
  }

  @Get('sbp/fault')
  fault(): void {
    throw Object.assign(new Error(SECRET_FAULT), { statusCode: 404, code: 'ECONNREFUSED' });
  }

  @Get('sbp/framework')
  framework(): void {
    throw new ConflictException('conflict');
  }

  @Get('sbp/typed-fault')
  typedFault(@Res({ passthrough: true }) reply: FastifyReply): void {
    void reply.header('content-type', 'text/event-stream').header('content-length', '5');
    throw new TypeError(SECRET_FAULT);
  }

  @Get('sbp/half-stream')
  halfStream(@Res() reply: FastifyReply): void {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'x-session-token': 't' });
    reply.raw.write('data: 1\n\n');
    throw new Error(SECRET_FAULT);
  }
}

@Module({ controllers: [ProbeController] })
class ProbeModule {}

const log: string[] = [];
let app: NestFastifyApplication;
let port: number;

beforeAll(async () => {
  const logger = createLogger('test', 'trace', { write: (line) => void log.push(line) });
  app = await createHttpApp(
    ProbeModule,
    { ...parseSettings({}), allowedOrigins: ['https://app.example'] },
    logger,
  );
  await app.listen(0, '127.0.0.1');
  port = Number(new URL(addressOf(app)).port);
});

afterAll(async () => {
  await app.close();
});

afterEach(() => {
  log.length = 0;
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly json: () => unknown;
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    json: () => JSON.parse(text) as unknown,
  };
}

async function send(
  path: string,
  options: RequestOptions = {},
  body?: string | Buffer,
): Promise<Answer> {
  const request = httpRequest({ host: '127.0.0.1', port, path, agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return read(response);
}

const post = (path: string, body?: string | Buffer, headers: Record<string, string> = {}) =>
  send(path, { method: 'POST', headers }, body);

/** Writes bytes to a connection of its own, and reads until the server closes it. */
async function raw(text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

describe('bodies', () => {
  it.each<[string, Record<string, string>]>([
    ['application/json', { 'content-type': 'application/json' }],
    ['JSON with a charset', { 'content-type': 'application/json; charset=utf-8' }],
    ['no type', {}],
    ['text', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
  ])('come as bytes with %s', async (_what, headers) => {
    const answer = await post('/v1/sbp/bytes', '{"a":1}', headers);
    expect(answer.json()).toEqual({ isBuffer: true, length: 7 });
  });

  it('may be absent', async () => {
    expect((await post('/v1/sbp/bytes')).json()).toEqual({ isBuffer: false, length: 0 });
    const json = { 'content-type': 'application/json', 'content-length': '0' };
    expect((await post('/v1/sbp/bytes', '', json)).json()).toMatchObject({ length: 0 });
  });

  it('may be as long as the limit', async () => {
    const answer = await post('/v1/sbp/bytes', Buffer.alloc(LIMITS.requestBody, 32));
    expect(answer.json()).toEqual({ isBuffer: true, length: LIMITS.requestBody });
  });

  it.each([
    ['said to be', { 'content-length': String(LIMITS.requestBody + 1) }],
    ['sent in chunks that are', { 'transfer-encoding': 'chunked' }],
  ])('%s longer are refused with 413', async (_what, headers) => {
    for (const size of [LIMITS.requestBody + 1, 2 * LIMITS.requestBody]) {
      const length = 'content-length' in headers ? { 'content-length': String(size) } : headers;
      const answer = await post('/v1/sbp/bytes', randomBytes(size), length);
      expect(answer.status).toBe(413);
      expect(answer.headers['x-should-retry']).toBe('false');
      expect(answer.json()).toMatchObject({ error: { code: 'SBP_PAYLOAD_TOO_LARGE' } });
    }
  });

  it('that are too long get their answer also where the caller sends on for a while', async () => {
    for (let round = 0; round < 5; round += 1) {
      const body = Buffer.alloc(5 * LIMITS.requestBody, 32);
      const answer = await fetch(`http://127.0.0.1:${port}/v1/sbp/bytes`, { method: 'POST', body });
      expect([answer.status, await answer.json()]).toMatchObject([
        413,
        { error: { code: 'SBP_PAYLOAD_TOO_LARGE' } },
      ]);
    }
  });

  // [SBP-ERR-04]
  it('that are said to be too long are refused before they come', async () => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path: '/v1/sbp/bytes',
      method: 'POST',
      agent: false,
      headers: { 'content-length': LIMITS.requestBody + 1, origin: 'https://app.example' },
    });
    request.on('error', () => undefined).flushHeaders();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = await read(response);
    expect([answer.status, answer.json()]).toMatchObject([
      413,
      { error: { code: 'SBP_PAYLOAD_TOO_LARGE' } },
    ]);
    expect(answer.headers['access-control-allow-origin']).toBe('https://app.example');
    request.destroy();
  });

  it('are checked: the error names the field or says that it is no JSON', async () => {
    const path = '/v1/sbp/sessions/3f2504e0-4f89-41d3-9a0c-0305e82c3301/export';
    const expectRefusal = async (body: string, message: RegExp) => {
      const answer = await post(path, body);
      expect(answer.status).toBe(422);
      const { error } = answer.json() as { error: { code: string; message: string } };
      expect(error.code).toBe('SBP_INVALID_REQUEST');
      expect(error.message).toMatch(message);
    };
    await expectRefusal('{"ttl_seconds": 1}', /^ttl_seconds: /);
    await expectRefusal('{"ttl_seconds": ', /^body is not JSON: /);
    await expectRefusal('['.repeat(LIMITS.requestBody), /^body is not JSON: it nests/);
    expect((await post(path)).json()).toMatchObject({ ttl_seconds: 86_400 });
    const wrongId = await post('/v1/sbp/sessions/7/export', '{}');
    expect([wrongId.status, wrongId.json()]).toMatchObject([
      422,
      { error: { code: 'SBP_INVALID_UUID' } },
    ]);
    const wrongQuery = await send('/v1/sbp/sessions/7/messages?limit=all');
    expect([wrongQuery.status, wrongQuery.json()]).toMatchObject([
      422,
      { error: { code: 'SBP_INVALID_REQUEST' } },
    ]);
  });
});

describe('errors', () => {
  it.each(Object.entries(ERRORS))(
    '%s has the status and headers of the table',
    async (code, row) => {
      const answer = await send(`/v1/sbp/errors/${code}`);
      expect(answer.status).toBe(row.status);
      const id = row.status < 500 ? {} : { request_id: answer.headers['x-request-id'] };
      expect(answer.json()).toEqual({
        error: { code, message: `It is ${code}.`, detail: { a: 1 }, ...id },
      });
      expect(answer.headers['retry-after']).toBe('7');
      expect(answer.headers['x-should-retry']).toBe(row.retry ? undefined : 'false');
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    },
  );

  // [SBP-ERR-01]
  it("are 400 with OpenAI's type and param on the completions path", async () => {
    const answer = await post('/v1/chat/completions?x=1', '{"fail":1}');
    expect(answer.status).toBe(400);
    expect(answer.json()).toEqual({
      error: {
        code: 'SBP_INVALID_REQUEST',
        message: 'fail: no',
        detail: null,
        type: 'invalid_request_error',
        param: 'fail',
      },
    });
    expect((await post('/v1/sbp/bytes', '{"fail":1}')).status).toBe(422);
  });

  it.each(['/v1/sbp/fault', '/v1/sbp/typed-fault'])(
    'a fault at %s tells nothing of the inside, and is logged',
    async (path) => {
      const answer = await send(path);
      expect(answer.status).toBe(500);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.json()).toMatchObject({ error: { code: 'SBP_INTERNAL', detail: null } });
      expect(answer.text).not.toContain('hunter2');
      expect(log.join('')).toContain(SECRET_FAULT);
    },
  );

  it("keeps the status of the framework's own refusals", async () => {
    const answer = await send('/v1/sbp/framework');
    expect([answer.status, answer.json()]).toEqual([
      409,
      { error: { code: 'SBP_INVALID_REQUEST', message: 'conflict', detail: null } },
    ]);
  });

  it.each([
    ['GET', '/v1/../models'],
    ['GET', '/v1/sbp/bytes'],
    ['PUT', '/v1/sbp/bytes'],
    ['OPTIONS', '/v1/sbp/bytes'],
    ['DELETE', '/nothing?x=1'],
    ['GET', '/'],
    ['GET', '//evil.example/x'],
  ])('%s %s is 404 in our form', async (method, path) => {
    const answer = await send(path, { method });
    expect(answer.status).toBe(404);
    expect(answer.json()).toEqual({
      error: {
        code: 'SBP_INVALID_REQUEST',
        message: `No route ${method} ${path.split('?')[0] ?? ''}; see docs.`,
        detail: null,
      },
    });
    expect(answer.headers['x-should-retry']).toBe('false');
  });

  it('answers a malformed path, an endless one and a malformed content type in our form', async () => {
    expect(await send('/v1/sbp/token/%zz')).toMatchObject({ status: 400 });
    expect((await send('/v1/sbp/token/%zz')).json()).toMatchObject({
      error: { code: 'SBP_INVALID_REQUEST' },
    });
    expect((await send(`/v1/sbp/token/${'a'.repeat(8192)}`)).json()).toEqual({ length: 8192 });
    const endless = await send(`/v1/sbp/token/${'a'.repeat(8193)}`);
    expect([endless.status, endless.json()]).toMatchObject([
      414,
      { error: { code: 'SBP_INVALID_REQUEST' } },
    ]);
    const typed = await post('/v1/sbp/bytes', '{}', { 'content-type': 'json' });
    expect([typed.status, typed.json()]).toMatchObject([
      415,
      { error: { code: 'SBP_INVALID_REQUEST' } },
    ]);
  });

  it('answers what is no HTTP, or has endless headers, in our form', async () => {
    const garbage = await raw('HELLO\r\n\r\n');
    expect(garbage).toMatch(/^HTTP\/1\.1 400 .*"code":"SBP_INVALID_REQUEST"/s);
    const endless = await raw(
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`,
    );
    expect(endless).toMatch(/^HTTP\/1\.1 431 .*"code":"SBP_INVALID_REQUEST"/s);
  });

  it('breaks a stream off that fails after its beginning, and adds nothing to it', async () => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path: '/v1/sbp/half-stream',
      agent: false,
    }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let text = '';
    const reading = (async () => {
      for await (const chunk of response) text += String(chunk);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(text).toBe('data: 1\n\n');
    expect(log.join('')).toContain(SECRET_FAULT);
  });

  // [SBP-SEC-06]
  it('writes no roaming token of a path to the log', async () => {
    await send('/v1/sbp/token/sec.ret.token/nothing');
    await send('/v1/sbp/token/sec.ret.token%zz');
    expect(log.join('')).toContain('/v1/sbp/token/');
    expect(log.join('')).not.toContain('sec.ret');
  });

  it('serves on after a caller that goes away in the middle of its body', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /v1/sbp/bytes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{');
    await once(socket, 'connect');
    socket.destroy();
    await expect.poll(() => log.join('')).toContain('went away');
    expect((await post('/v1/sbp/bytes', '{}')).status).toBe(200);
    expect(log.join('')).not.toContain('"level":"error"');
  });
});

describe('where a request may come from', () => {
  it.each<[Record<string, string>, RegExp]>([
    [{ host: 'evil.example' }, /^Host: evil\.example is not a loopback name/],
    [{ host: 'localhost.evil.example:8080' }, /^Host: /],
    [
      { origin: 'http://evil.example' },
      /^Origin: http:\/\/evil\.example is foreign\. Add it to SBP_ALLOWED_ORIGINS/,
    ],
    [{ origin: 'null' }, /^Origin: null is foreign/],
    [{ host: 'evil.example', origin: 'https://app.example' }, /^Host: /],
  ])('refuses %j on every path', async (headers, message) => {
    for (const path of ['/v1/sbp/bytes', '/nothing', '/v1/sbp/token/%zz', '/v1/chat/completions']) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await send(path, {
          method,
          headers: { ...headers, 'access-control-request-method': 'POST' },
        });
        expect(answer.status).toBe(403);
        const { error } = answer.json() as { error: { code: string; message: string } };
        expect(error.code).toBe('SBP_FORBIDDEN');
        expect(error.message).toMatch(message);
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      }
    }
  });

  it('refuses a request without Host', async () => {
    expect(await raw('GET /v1/sbp/fault HTTP/1.0\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 403 .*Host: \(none\)/s,
    );
  });

  it.each(['https://app.example', 'http://localhost:5173', 'http://127.0.0.1:9'])(
    'lets pages of %s in',
    async (origin) => {
      const answer = await post('/v1/sbp/bytes', '{}', { origin });
      expect(answer.status).toBe(200);
      expect(answer.headers['access-control-allow-origin']).toBe(origin);
      expect(answer.headers.vary).toContain('Origin');
      const exposed = String(answer.headers['access-control-expose-headers']).toLowerCase();
      expect(exposed).toContain('x-session-token');
      expect(exposed).toContain('x-sbp-session-id');
    },
  );

  it('answers their preflight, with the headers that they ask for', async () => {
    const answer = await send('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-session-token,idempotency-key',
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers['access-control-allow-origin']).toBe('https://app.example');
    expect(answer.headers['access-control-allow-methods']).toContain('POST');
    expect(answer.headers['access-control-allow-headers']).toBe(
      'content-type,x-session-token,idempotency-key',
    );
  });

  it('lets them read errors and hijacked streams too', async () => {
    const origin = 'https://app.example';
    const error = await send('/v1/sbp/fault', { headers: { origin } });
    expect([error.status, error.headers['access-control-allow-origin']]).toEqual([500, origin]);
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      path: '/v1/sbp/half-stream',
      agent: false,
      headers: { origin },
    });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined).resume();
    expect(response.headers['access-control-allow-origin']).toBe(origin);
  });

  it('adds nothing for callers that are no pages', async () => {
    const answer = await post('/v1/sbp/bytes', '{}');
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});
