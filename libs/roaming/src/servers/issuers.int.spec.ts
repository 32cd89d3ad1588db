import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { TrustedIssuers } from './issuers.js';
import { ServerClient } from './server-client.js';

const KEY = { kid: 'one', kty: 'OKP', alg: 'EdDSA', crv: 'Ed25519', x: 'x' };
const KEYS = { status: 200, body: JSON.stringify({ keys: [KEY] }) };

let server: Server;
let client: ServerClient;
let issuer: string;
let issuers: TrustedIssuers;
let answer = KEYS;
let asked = 0;

beforeAll(async () => {
  server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new ServerClient({ trusted: [issuer], allowsPrivate: false });
});
afterAll(async () => {
  await client.close();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  answer = KEYS;
  asked = 0;
  issuers = new TrustedIssuers(client);
});

const bad = [
  ['that drains', { status: 503, body: '{"error":{}}' }],
  ['that has another program at its address', { status: 404, body: '{}' }],
  ['whose key set is none', { status: 200, body: '{"keys":[{}]}' }],
] as const;

// [SBP-L6-01]
it.each(bad)('the key of a server %s cannot be had yet, and is had later', async (_what, then) => {
  answer = then;
  await expect(issuers.keyOf(issuer, 'one')).rejects.toMatchObject({
    ...{ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 5 },
  });
  answer = KEYS;
  expect(await issuers.keyOf(issuer, 'one')).toEqual(KEY);
});

// [SBP-L6-01]
it.each(bad)('what is known of a server %s stays known', async (_what, then) => {
  expect(await issuers.keyOf(issuer, 'one')).toEqual(KEY);
  answer = then;
  await expect(issuers.keyOf(issuer, 'another')).rejects.toMatchObject({
    code: 'SBP_UPSTREAM_UNAVAILABLE',
  });
  expect(await issuers.keyOf(issuer, 'one')).toEqual(KEY);
  expect(asked).toBe(2);
});

it('a server that is not trusted is not asked, and a key that it does not have is none', async () => {
  expect(await issuers.keyOf('http://127.0.0.1:1', 'one')).toBeNull();
  expect(asked).toBe(0);
  expect(await issuers.keyOf(issuer, 'another')).toBeNull();
});
