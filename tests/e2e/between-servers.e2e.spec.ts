import { createHash, createPublicKey, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_EVERYWHERE_MS, SigningKeys } from '#libs/auth';
import type { JsonObject, Message } from '#libs/protocol';
import {
  Bundle,
  ExportResponse,
  ExportsResponse,
  ImportResponse,
  LineageResponse,
  ServerManifest,
  TokenInspection,
} from '#libs/protocol';
import { freePort } from '../../tools/infrastructure/index.js';
import { startStack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent, saidIn, steered } from './clients/agent.js';
import { Failure } from './clients/bodies.js';
import { withGps } from './clients/gps-surface.js';
import { ThirdParty } from './clients/third-party.js';
import { signed, unsigned } from './clients/tokens.js';
import { embeddedProgram } from './topology/embedded.js';
import { sharedStack } from './topology/stack.js';

/*
 * Two servers of different owners: an embedded one and a stack, each with storage, a secret and a
 * key pair of its own, that list one another; and a third party that they list by mistake.
 */

interface Site {
  readonly url: string;
  /** How others know it. */
  readonly issuer: string;
  readonly keys: SigningKeys;
  readonly stop: () => Promise<void>;
}

let folder: string;
let embedded: Site;
let stack: Site;
let liar: ThirdParty;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'statebridge-between-'));
  guardFolder(folder);
  const [here, there, third] = [await freePort(), await freePort(), await freePort()];
  const urls = [
    `http://127.0.0.1:${here}`,
    `http://localhost:${there}`,
    `http://127.0.0.1:${third}`,
  ] as const;
  const keysOf = async (name: string, alg: 'EdDSA' | 'ES256') => {
    const keys = new SigningKeys(path.join(folder, `${name}.json`));
    await keys.rotate(alg, new Date(Date.now() - 2 * KNOWN_EVERYWHERE_MS));
    return keys;
  };
  const settingsOf = (name: string) => ({
    SBP_JWT_SECRET: randomBytes(32).toString('hex'),
    SBP_TRUSTED_ISSUERS: urls.join(','),
    SBP_KEY_FILE: path.join(folder, `${name}.json`),
  });
  const embeddedKeys = await keysOf('embedded', 'EdDSA');
  const stackKeys = await keysOf('stack', 'ES256');
  const program = embeddedProgram(path.join(folder, 'embedded'), here, {
    ...settingsOf('embedded'),
    SBP_PUBLIC_URL: urls[0],
    SBP_SESSION_MAX_BYTES: '2000000',
  });
  await program.start();
  embedded = { url: program.url, issuer: urls[0], keys: embeddedKeys, stop: () => program.stop() };
  const shared = sharedStack(path.join(folder, 'stack'), `e2e-${randomUUID()}`);
  const running = await startStack({
    ...shared,
    port: there,
    env: { ...shared.env, ...settingsOf('stack') },
    replicas: { roaming: 2 },
  });
  stack = { url: running.url, issuer: urls[1], keys: stackKeys, stop: () => running.stop() };
  liar = await ThirdParty.listen(third, await keysOf('liar', 'EdDSA'));
}, 240_000);

afterAll(async () => {
  liar.close();
  await embedded.stop();
  await stack.stop();
  await rm(folder, { recursive: true, force: true });
});

async function exported(agent: Agent, sessionId: string, body: object = {}) {
  return ExportResponse.parse((await agent.export(sessionId, body)).json);
}

async function imported(agent: Agent, body: object, headers = {}) {
  const answer = await agent.send('sessions/import', body, headers);
  expect(answer.status, answer.text).toBe(201);
  return ImportResponse.parse(answer.json);
}

const said = async (agent: Agent, id: string) =>
  saidIn(await agent.messages(id)).filter((text) => !text.startsWith('system: '));

const pairs = [
  ['embedded', 'stack', () => ({ from: embedded, to: stack })],
  ['stack', 'embedded', () => ({ from: stack, to: embedded })],
] as const;

describe.each(pairs)('from %s to %s', (_from, _to, sites) => {
  // [SBP-L6-01] [SBP-L6-05] [SBP-L6-06]
  it('a session goes there, goes on, and comes back', async () => {
    const { from, to } = sites();
    const agent = new Agent(from.url);
    const surface = await withGps(agent);
    const { sbp } = await agent.turn(steered('call=gps', 'Where? 東京 ✈ \u{1F600}'));
    await surface.close(1000);
    const out = await exported(agent, sbp.session_id, { label: 'on the way' });
    const there = new Agent(to.url);
    const inspected = await there.get(`token/${out.roaming_token}`);
    expect(TokenInspection.parse(inspected.json)).toMatchObject({ consumed: false });
    const copy = await imported(there, { roaming_token: out.roaming_token });
    expect(copy).toMatchObject({
      ...{ agent_id: agent.id, step_count: 2, message_count: out.message_count },
      provenance: { server: from.issuer, export_id: out.export_id, session_id: sbp.session_id },
    });
    expect(await said(there, copy.session_id)).toEqual(await said(agent, sbp.session_id));
    const again = await there.send('sessions/import', { roaming_token: out.roaming_token });
    expect(again.status).toBe(410);
    expect(Failure.parse(again.json).error.code).toBe('SBP_TOKEN_CONSUMED');
    const home = await agent.send('sessions/import', { roaming_token: out.roaming_token });
    expect(home.status).toBe(410);
    const origin = LineageResponse.parse(
      (await there.get(`sessions/${copy.session_id}/lineage`)).json,
    ).origin;
    expect(origin).toMatchObject({
      type: 'import',
      server: from.issuer,
      session_id: sbp.session_id,
    });
    const { exports } = ExportsResponse.parse(
      (await agent.get(`sessions/${sbp.session_id}/exports`)).json,
    );
    expect(exports).toMatchObject([
      { consumed: true, imported_by: to.issuer, imported_session_id: copy.session_id },
    ]);
    // It goes on there, and comes back.
    await there.turn('And now?', { session_id: copy.session_id });
    const back = await exported(there, copy.session_id);
    const returned = await imported(agent, { roaming_token: back.roaming_token });
    expect(await said(agent, returned.session_id)).toEqual(await said(there, copy.session_id));
    const next = await agent.turn('Home again.', { session_id: returned.session_id });
    expect(next.sbp.step_count).toBe(4);
  });

  // [SBP-L6-05]
  it('of many imports at once, at both servers, one succeeds', async () => {
    const { from, to } = sites();
    const agent = new Agent(from.url);
    const { sbp } = await agent.turn('Hello.');
    const { roaming_token } = await exported(agent, sbp.session_id);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        new Agent(at % 4 === 0 ? from.url : to.url).send('sessions/import', { roaming_token }),
      ),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 410)]);
  });

  // [SBP-L3-22] [SBP-L3-24]
  it('an export is used again, and asked for again', async () => {
    const { from, to } = sites();
    const agent = new Agent(from.url);
    const there = new Agent(to.url);
    const { sbp } = await agent.turn('Hello.');
    const { roaming_token } = await exported(agent, sbp.session_id);
    const reuse = { roaming_token, allow_reuse: true };
    const [one, two] = [await imported(there, reuse), await imported(there, reuse)];
    expect(one.session_id).not.toBe(two.session_id);
    const headers = { 'idempotency-key': randomUUID() };
    const first = await imported(there, { roaming_token }, headers);
    const again = await imported(there, { roaming_token }, headers);
    expect(again).toMatchObject({
      ...{ session_id: first.session_id, message_count: first.message_count },
    });
  });

  // [SBP-L6-02]
  it('a token outlives the rotation of the key that signed it', async () => {
    const { from, to } = sites();
    const agent = new Agent(from.url);
    const { sbp } = await agent.turn('Hello.');
    const before = await exported(agent, sbp.session_id);
    await from.keys.rotate('ES256', new Date(Date.now() - KNOWN_EVERYWHERE_MS + 2_000));
    const there = new Agent(to.url);
    await imported(there, { roaming_token: before.roaming_token });
    const kid = from.keys.list()[0]?.kid ?? '';
    // It signs when every process has had time to see it.
    let after = before;
    while (!headerOf(after.roaming_token).includes(kid)) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      after = await exported(agent, sbp.session_id);
    }
    await imported(there, { roaming_token: after.roaming_token });
    const late = await there.send('sessions/import', { roaming_token: before.roaming_token });
    expect(late.status).toBe(410);
  });

  it('tells what it is, and by which keys it signs', async () => {
    const { from } = sites();
    const wellKnown = async (name: string): Promise<unknown> =>
      (await fetch(`${from.url}/.well-known/${name}`)).json();
    const manifest = ServerManifest.parse(await wellKnown('sbp'));
    expect(manifest).toMatchObject({
      ...{ issuer: from.issuer, jwks_uri: `${from.issuer}/.well-known/jwks.json` },
    });
    expect(JSON.stringify(await wellKnown('jwks.json'))).toBe(
      JSON.stringify(from.keys.publicSet()),
    );
  });

  // [SBP-SEC-02]
  it('a bundle is for whoever has its token', async () => {
    const { from } = sites();
    const agent = new Agent(from.url);
    const { sbp } = await agent.turn('Hello.');
    const out = await exported(agent, sbp.session_id);
    const get = (cid: string, token?: string) =>
      agent.get(`bundles/${cid}`, token === undefined ? {} : { authorization: `Bearer ${token}` });
    const { status, text, json } = await get(out.bundle_cid, out.roaming_token);
    expect(status).toBe(200);
    expect(createHash('sha256').update(text).digest('hex')).toBe(out.bundle_cid);
    expect(Bundle.parse(json).metadata.export_id).toBe(out.export_id);
    expect((await get(out.bundle_cid)).status).toBe(401);
    expect((await get('a'.repeat(64), out.roaming_token)).status).toBe(422);
    expect((await get(out.bundle_cid, sbp.session_token)).status).toBe(422);
  });
});

function headerOf(token: string): string {
  return Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
}

const NOT_USED = {
  status: 410,
  body: { error: { code: 'SBP_TOKEN_CONSUMED', message: 'It was used.' } },
};

/** A token of the third party for what it answers as the bundle. */
async function lie(body: string | AsyncIterable<string>, cid?: string): Promise<string> {
  const hash =
    cid ??
    createHash('sha256')
      .update(typeof body === 'string' ? body : '')
      .digest('hex');
  liar.offer(hash, body, NOT_USED);
  return liar.token({ cid: hash });
}

describe('a server that lies', () => {
  const refused = async (token: string): Promise<readonly [number, string | null]> => {
    const agent = new Agent(embedded.url);
    const { status, json } = await agent.send('sessions/import', { roaming_token: token });
    return [status, Failure.parse(json).error.code];
  };

  // [SBP-L6-05]
  it.for([
    ['no bundle', '{}'],
    ['no JSON', 'hello'],
    ['a hundred thousand levels', `{"messages":[${'['.repeat(100_000)}`],
  ] as const)('with %s changes nothing', async ([, body]) => {
    expect(await refused(await lie(body))).toEqual([422, 'SBP_TOKEN_INTEGRITY']);
  });

  // [SBP-L6-05]
  it('with a bundle of another hash changes nothing', async () => {
    const token = await lie('{"messages":[]}', 'f'.repeat(64));
    expect(await refused(token)).toEqual([422, 'SBP_TOKEN_INTEGRITY']);
  });

  // [SBP-L6-05]
  it('with a gigabyte is cut off', async () => {
    const chunk = 'x'.repeat(1024 * 1024);
    const gigabyte = async function* () {
      yield '{"messages":["';
      for (let at = 0; at < 1024; at++) yield await Promise.resolve(chunk);
    };
    const token = await lie(gigabyte(), 'e'.repeat(64));
    const agent = new Agent(embedded.url);
    const answer = await agent.send('sessions/import', { roaming_token: token });
    expect(answer.status, answer.text).toBe(413);
  });

  // [SBP-L6-05]
  it('of numbers and names that no row takes changes nothing, and others are served', async () => {
    const bundle = bundleOf([{ role: 'user', content: 'Hello.' }]);
    const long = { ...bundle.session, agent_external_id: 'x'.repeat(300) };
    const great = { ...bundle.session, step_count: 2 ** 40 };
    for (const odd of [long, great]) {
      const { exportId, cid, body } = written({ ...bundle, session: odd });
      liar.offer(cid, body, NOT_USED);
      const token = await liar.token({ cid, exportId });
      expect(await refused(token)).toEqual([422, 'SBP_TOKEN_INTEGRITY']);
    }
    expect((await new Agent(embedded.url).turn('Hello.')).sbp.step_count).toBe(1);
  });

  // [SBP-L6-05]
  it('that does not let an export be used leaves nothing', async () => {
    const bundle = bundleOf([{ role: 'user', content: 'Hello.' }]);
    const { exportId, cid, body } = written(bundle);
    liar.offer(cid, body, NOT_USED);
    expect(await refused(await liar.token({ cid, exportId }))).toEqual([410, 'SBP_TOKEN_CONSUMED']);
    const agent = new Agent(embedded.url);
    const found = (await agent.get('sessions?agent_id=theirs')).json;
    expect(found).toMatchObject({ sessions: [] });
  });

  // [SBP-L6-01] [SBP-L6-03]
  it('about who it is is not believed', async () => {
    for (const issuer of [stack.issuer, embedded.issuer, 'https://nobody.example']) {
      const token = await liar.token({ cid: 'a'.repeat(64), issuer });
      expect(await refused(token)).toEqual([422, 'SBP_TOKEN_INVALID']);
    }
  });
});

// [SBP-L6-03]
describe.each(pairs)('a token of %s, signed by its key pair', (_from, _to, sites) => {
  it('is not made of its public half, nor changed, at either server', async () => {
    const { from, to } = sites();
    const agent = new Agent(from.url);
    const { sbp } = await agent.turn('Hello.');
    const { roaming_token: token } = await exported(agent, sbp.session_id);
    const [header = '', middle = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(middle, 'base64url').toString()) as JsonObject;
    const jwk = from.keys.publicSet().keys[0] ?? {};
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    const other = Buffer.from(JSON.stringify({ ...claims, sub: randomUUID() })).toString(
      'base64url',
    );
    const forged = [
      ...[pem, pem.trim(), JSON.stringify(jwk), String(jwk.x)].map((key) => signed(claims, key)),
      ...[unsigned(claims), `${header}.${middle}.`, `${header}.${other}.${signature}`],
    ];
    for (const url of [from.url, to.url]) {
      for (const roaming_token of forged) {
        const { status, json } = await new Agent(url).send('sessions/import', { roaming_token });
        expect([status, Failure.parse(json).error.code]).toEqual([422, 'SBP_TOKEN_INVALID']);
      }
    }
    await imported(new Agent(to.url), { roaming_token: token });
  });
});

describe('a bundle of another implementation', () => {
  /** Imports it, exports that, imports this, and exports it once more. */
  async function roundTrip(bundle: Bundle): Promise<void> {
    const { exportId, cid, body } = written(bundle);
    const consumed_at = new Date().toISOString();
    liar.offer(cid, body, { status: 200, body: { export_id: exportId, consumed_at } });
    const agent = new Agent(embedded.url);
    let token = await liar.token({ cid, exportId });
    for (let trip = 1; trip <= 2; trip++) {
      const copy = await imported(agent, { roaming_token: token });
      expect(copy.messages_restored).toBe(bundle.messages.length);
      const out = await exported(agent, copy.session_id);
      const headers = { authorization: `Bearer ${out.roaming_token}` };
      const { json } = await agent.get(`bundles/${out.bundle_cid}`, headers);
      const { messages, memory, state_snapshot, session } = Bundle.parse(json);
      expect(messages).toEqual(bundle.messages);
      expect({ memory, state_snapshot }).toEqual({
        ...{ memory: bundle.memory, state_snapshot: bundle.state_snapshot },
      });
      expect(session).toMatchObject({
        ...{ step_count: bundle.session.step_count, created_at: bundle.session.created_at },
      });
      token = out.roaming_token;
    }
  }

  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const content = fc.oneof(
    text,
    fc.constant(null),
    fc.array(
      fc.oneof(
        fc.record({ type: fc.constant('text'), text }),
        fc.record({
          type: fc.constant('image_url'),
          image_url: fc.record({ url: fc.constant('data:image/png;base64,AAAA') }),
        }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  );
  const message = fc.oneof(
    fc.record({ role: fc.constant('user' as const), content }),
    fc.record(
      {
        role: fc.constant('assistant' as const),
        content,
        tool_calls: fc.array(
          fc.record({
            id: fc.uuid(),
            type: fc.constant('function'),
            function: fc.record({ name: fc.constant('look'), arguments: fc.json() }),
          }),
        ),
        refusal: text,
      },
      { requiredKeys: ['role', 'content'] },
    ),
    fc.record({ role: fc.constant('tool' as const), content: text, tool_call_id: fc.uuid() }),
  );
  // Written and read, as canonical JSON has no negative zero (RFC 8785).
  const object = fc
    .dictionary(text, fc.jsonValue({ maxDepth: 3, noUnicodeString: false }))
    .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

  // [SBP-L3-20]
  it('gives the same messages, memory and snapshot, however often it goes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 30 }),
        fc.option(object),
        fc.option(object),
        async (messages, payload, state_snapshot) => {
          const memory =
            payload === null ? null : { schema_id: 'https://nobody.example/1', payload };
          await roundTrip({ ...bundleOf(messages), memory, state_snapshot });
        },
      ),
      { numRuns: 15 },
    );
  });

  // [SBP-L3-20]
  it('of 10,000 messages is the same again', async () => {
    const system = { role: 'system' as const, content: 'Be brief.' };
    const messages = Array.from({ length: 9_999 }, (_, at) =>
      at % 2 === 0
        ? { role: 'user' as const, content: `Question ${at}?` }
        : { role: 'assistant' as const, content: `Answer ${at}.` },
    );
    await roundTrip(bundleOf([system, ...messages]));
  });
});

function bundleOf(messages: readonly Message[]): Bundle {
  const created_at = '2026-05-10T15:05:00.000Z';
  return {
    sbp_version: '1.0',
    exported_at: created_at,
    label: null,
    session: {
      ...{ id: randomUUID(), agent_external_id: 'theirs', status: 'running', last_task: null },
      ...{ created_at, step_count: 7 },
    },
    messages: messages.map((each, at) => {
      // Models and costs are of what models said.
      const isModels = each.role === 'assistant';
      const about = {
        model_used: isModels ? 'their-model' : null,
        cost_usd: isModels ? at / 7 : null,
      };
      return { ...each, ...about, created_at };
    }),
    memory: null,
    state_snapshot: null,
    metadata: { export_id: randomUUID(), message_count: messages.length, total_cost_usd: null },
  };
}

/** A bundle as canonical JSON, and its address. */
function written(bundle: Bundle) {
  const body = canonicalize(bundle) ?? '';
  const cid = createHash('sha256').update(body).digest('hex');
  return { body, cid, exportId: bundle.metadata.export_id };
}
