import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { TrustedIssuers } from './issuers.js';
import type { OtherServer } from '../testing/other-server.js';
import { startOtherServer } from '../testing/other-server.js';

const KEY = { kid: 'one', kty: 'OKP', alg: 'EdDSA', crv: 'Ed25519', x: 'x' };
const KEYS = { status: 200, body: JSON.stringify({ keys: [KEY] }) };

let other: OtherServer;
let issuers: TrustedIssuers;
let answer = KEYS;
let asked = 0;

beforeAll(async () => {
  other = await startOtherServer((response) => {
    asked += 1;
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
});
afterAll(() => other.stop());
beforeEach(() => {
  answer = KEYS;
  asked = 0;
  issuers = new TrustedIssuers(other.client);
});

const bad = [
  ['that drains', { status: 503, body: '{"error":{}}' }],
  ['that has another program at its address', { status: 404, body: '{}' }],
  ['whose key set is none', { status: 200, body: '{"keys":[{}]}' }],
] as const;

// [SBP-L6-01]
it.each(bad)('the key of a server %s cannot be had yet, and is had later', async (_what, then) => {
  answer = then;
  await expect(issuers.keyOf(other.url, 'one')).rejects.toMatchObject({
    ...{ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 5 },
  });
  answer = KEYS;
  expect(await issuers.keyOf(other.url, 'one')).toEqual(KEY);
});

// [SBP-L6-01]
it.each(bad)('what is known of a server %s stays known', async (_what, then) => {
  expect(await issuers.keyOf(other.url, 'one')).toEqual(KEY);
  answer = then;
  await expect(issuers.keyOf(other.url, 'another')).rejects.toMatchObject({
    code: 'SBP_UPSTREAM_UNAVAILABLE',
  });
  expect(await issuers.keyOf(other.url, 'one')).toEqual(KEY);
  expect(asked).toBe(2);
});

it('a server that is not trusted is not asked, and a key that it does not have is none', async () => {
  expect(await issuers.keyOf('http://127.0.0.1:1', 'one')).toBeNull();
  expect(asked).toBe(0);
  expect(await issuers.keyOf(other.url, 'another')).toBeNull();
});
