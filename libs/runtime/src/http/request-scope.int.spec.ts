import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Body, Controller, Get, Module, Post, Query, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { LogOverloaded, LogUnavailable } from '#libs/event-log';
import { createLogger, currentRequest } from '#libs/telemetry';
import type { FastifyReply } from 'fastify';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { addressOf } from '../health/announce.js';
import { parseSettings } from '../settings/settings.js';
import { createHttpApp } from './http-app.js';

const logger = createLogger('test', 'trace', { write: (line) => void log.push(line) });

@Controller('v1')
class ProbeController {
  @Post('sbp/echo')
  async echo(@Body() body: Buffer): Promise<object> {
    await Promise.resolve();
    logger.info('handled');
    return { length: body.length, ...currentRequest() };
  }

  @Get('sbp/hijacked')
  hijacked(@Res() reply: FastifyReply): void {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
  }

  @Get('sbp/fault')
  fault(): void {
    throw new Error('unforeseen');
  }

  /** Fails as a database does. */
  @Get('sbp/outage')
  async outage(@Query('kind') kind: string): Promise<void> {
    await OUTAGES[kind]?.();
  }
}

@Module({ controllers: [ProbeController] })
class ProbeModule {}

const log: string[] = [];
let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  app = await createHttpApp(
    ProbeModule,
    { ...parseSettings({}), allowedOrigins: ['https://app.example'] },
    logger,
  );
  await app.listen(0, '127.0.0.1');
  url = addressOf(app);
});

afterAll(() => app.close());

afterEach(() => {
  log.length = 0;
});

async function echo(headers: Record<string, string>, body: string | Uint8Array = 'x') {
  const answer = await fetch(`${url}/v1/sbp/echo`, { method: 'POST', body, headers });
  return {
    header: answer.headers.get('x-request-id'),
    ...((await answer.json()) as { requestId: string; address: string | null }),
  };
}

// [SBP-ERR-07]
describe('a request has an id', () => {
  it('its own, on its answer, for its handler, and in each of its log lines', async () => {
    const bodies = ['x', new Uint8Array(300_000)];
    for (const body of bodies) {
      const id = randomUUID();
      expect(await echo({ 'x-request-id': id }, body)).toMatchObject({ header: id, requestId: id });
      expect(log.map((line) => JSON.parse(line) as unknown)).toContainEqual(
        expect.objectContaining({ msg: 'handled', request_id: id }),
      );
    }
  });

  it('a new one where the client names none, or one that is not fit', async () => {
    const ids = await Promise.all(
      [{}, { 'x-request-id': 'two words' }, { 'x-request-id': 'x'.repeat(129) }].map((headers) =>
        echo(headers),
      ),
    );
    for (const { header, requestId } of ids) {
      expect(header).toMatch(/^[0-9a-f-]{36}$/);
      expect(requestId).toBe(header);
    }
    expect(new Set(ids.map(({ header }) => header)).size).toBe(3);
  });

  it.each([
    ['hijacked', '/v1/sbp/hijacked', {}, 200],
    ['unknown', '/nothing', {}, 404],
    ['malformed', '/v1/sbp/%zz', {}, 400],
    ['foreign', '/v1/sbp/hijacked', { origin: 'https://evil.example' }, 403],
    ['failing', '/v1/sbp/fault', {}, 500],
    ['a preflight', '/v1/sbp/echo', { origin: 'https://app.example' }, 204],
  ])('also where it is %s', async (what, path, headers, status) => {
    const method = what === 'a preflight' ? 'OPTIONS' : 'GET';
    const asked = { 'access-control-request-method': 'POST' };
    const answer = await fetch(url + path, {
      method,
      headers: { ...headers, ...(method === 'OPTIONS' ? asked : {}), 'x-request-id': 'mine' },
    });
    expect([answer.status, answer.headers.get('x-request-id')]).toEqual([status, 'mine']);
  });

  it('also where it is no HTTP at all, or longer than the limit', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('HELLO\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/\r\nx-request-id: [0-9a-f-]{36}\r\n/);
    const big = await fetch(`${url}/v1/sbp/echo`, {
      method: 'POST',
      body: new Uint8Array(9 * 1024 * 1024),
      headers: { 'x-request-id': 'big' },
    });
    expect([big.status, big.headers.get('x-request-id')]).toEqual([413, 'big']);
  });

  it('that a fault tells its caller, and the log with the reason', async () => {
    const answer = await fetch(`${url}/v1/sbp/fault`, { headers: { 'x-request-id': 'f-1' } });
    expect(await answer.json()).toMatchObject({
      error: { code: 'SBP_INTERNAL', request_id: 'f-1' },
    });
    const refused = await fetch(`${url}/nothing`);
    expect(await refused.json()).not.toHaveProperty('error.request_id');
    const line = log.find((each) => each.includes('unforeseen')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ level: 'error', request_id: 'f-1' });
  });

  it('that pages may read', async () => {
    const headers = { origin: 'https://app.example' };
    const answer = await fetch(`${url}/v1/sbp/hijacked`, { headers });
    const exposed = answer.headers.get('access-control-expose-headers') ?? '';
    expect(exposed.toLowerCase()).toContain('x-request-id');
  });
});

describe('a request has an address', () => {
  it.each([
    [{}, '127.0.0.1'],
    [{ 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
    [{ 'x-forwarded-for': '198.51.100.1, 203.0.113.9' }, '203.0.113.9'],
    [{ 'x-forwarded-for': '203.0.113.9, 127.0.0.1' }, '203.0.113.9'],
    [{ 'x-forwarded-for': '::ffff:203.0.113.9' }, '203.0.113.9'],
    [{ 'x-forwarded-for': '203.0.113.9, a word' }, '127.0.0.1'],
  ])('by %j from a proxy on this machine: %s', async (headers, address) => {
    expect((await echo(headers)).address).toBe(address);
  });
});

/** A server that takes connections and says nothing that Postgres would say. */
async function breaking(): Promise<void> {
  const server = createServer((socket) => socket.resetAndDestroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await new Client({ host: '127.0.0.1', port }).connect();
  } finally {
    server.close();
  }
}

async function statement(text: string): Promise<void> {
  const client = new Client({ connectionString: inject('SBP_TEST_POSTGRES_URL') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

const fault = (kind: string) => () =>
  Promise.reject(
    Object.assign(new Error('The database did not answer'), { name: 'StorageFault', kind }),
  );
const raised = (state: string) => () =>
  statement(`DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '${state}'; END $$`);

const OUTAGES: Readonly<Record<string, () => Promise<void>>> = {
  refused: () => new Client({ host: '127.0.0.1', port: 1 }).connect().then(() => undefined),
  broken: breaking,
  terminated: () => statement('SELECT pg_terminate_backend(pg_backend_pid())'),
  '08006': raised('08006'),
  '53300': raised('53300'),
  '53100': raised('53100'),
  '57P03': raised('57P03'),
  wrapped: async () => {
    await raised('57P01')().catch((cause: unknown) => {
      throw new Error('The fold failed', { cause });
    });
  },
  'fault unavailable': fault('unavailable'),
  'fault timeout': fault('timeout'),
  'fault full': fault('full'),
  'fault conflict': fault('conflict'),
  'fault data': fault('data'),
  'fault statement': fault('statement'),
  syntax: () => statement('SELEC'),
  'log away': () => Promise.reject(new LogUnavailable('Kafka does not answer')),
  'log full': () => Promise.reject(new LogOverloaded('too much waits')),
};

// [SBP-ERR-08]
describe('a storage or a log that is away', () => {
  const lasting = ['fault conflict', 'fault data', 'fault statement', 'syntax'];

  it.each(Object.keys(OUTAGES))(
    '(%s) is 503 and worth a retry; a wrong statement is 500',
    async (kind) => {
      const answer = await fetch(`${url}/v1/sbp/outage?kind=${encodeURIComponent(kind)}`);
      const { error } = (await answer.json()) as { error: { code: string } };
      expect([answer.status, answer.headers.get('retry-after'), error.code]).toEqual(
        lasting.includes(kind)
          ? [500, null, 'SBP_INTERNAL']
          : [503, '1', 'SBP_UPSTREAM_UNAVAILABLE'],
      );
      const levels = log.map((line) => (JSON.parse(line) as { level: string }).level);
      expect(levels.includes('error')).toBe(lasting.includes(kind));
    },
  );
});
