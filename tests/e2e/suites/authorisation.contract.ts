import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ApiKeys } from '#libs/auth';
import type { Route } from '#libs/protocol';
import {
  AuditResponse,
  ExportResponse,
  ForkResponse,
  HandoffResponse,
  ROUTES,
  SessionResponse,
  SessionsResponse,
} from '#libs/protocol';
import { Agent, request, steered } from '../clients/agent.js';
import type { Answer, Headings } from '../clients/agent.js';
import { Completion, Failure } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import { expiredTokenFor, signed, tokenFor, unsigned } from '../clients/tokens.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';
import { BY_FRAME, MODEL_PATHS, requestsOf } from './authorisation-requests.js';

/** What principals' JWTs are signed with. */
export const PRINCIPALS_SECRET = 'the-secret-of-an-identity-provider';

/** Turns of one principal that a process of the tests lets in. */
export const MOST_AT_ONCE = 8;

/** A model that is still at work when something else is asked for. */
const SLOW = 'ttft=60000';

const AS_BEARER = 'a session token as Bearer';
const DAY_S = 24 * 60 * 60;
const bearer = (credential: string): Headings => ({ authorization: `Bearer ${credential}` });

function jwt(claims: object, secret = PRINCIPALS_SECRET): string {
  return signed(claims, secret);
}

/** An answer that is not read on where it is a stream, because that one does not end. */
async function begunAnswer(url: string, init: RequestInit): Promise<Answer> {
  const leaving = new AbortController();
  const response = await fetch(url, { ...init, signal: leaving.signal });
  const { status, headers } = response;
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true;
  const text = isStream ? '' : await response.text();
  leaving.abort();
  return { status, headers, text, json: text === '' ? null : JSON.parse(text) };
}

/** A session of Ann's, which holds a text that nobody else may see. */
interface Treasure {
  readonly sessionId: string;
  readonly token: string;
  readonly revokedToken: string;
  readonly turnId: string;
  readonly secret: string;
  readonly roamingToken: string;
  readonly exportId: string;
  readonly bundleCid: string;
  readonly snapshotId: string;
}

/** Every route × who asks: nobody gets, changes or learns anything of what is not his. */
export function authorisation(server: GetServer, keys: () => ApiKeys): void {
  const soon = () => Math.floor(Date.now() / 1000) + DAY_S;
  const key = (principal: string, role: 'user' | 'operator' = 'user', expiresAt?: Date) =>
    keys().create({ principal, role, label: null, expiresAt: expiresAt ?? null });

  let ann: Headings;
  let bob: Headings;
  let carl: Headings;
  let operator: Headings;
  /** Credentials that are none, by what is wrong with them. */
  let worthless: Readonly<Record<string, Headings>>;

  beforeAll(() => {
    ann = bearer(key('ann').key);
    bob = bearer(key('bob').key);
    carl = bearer(key('carl').key);
    operator = bearer(key('olga', 'operator').key);
    const revoked = key('ann');
    keys().revoke(revoked.listed.id);
    const flipped = key('ann').key.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    const claims = { sub: 'ann', exp: soon() };
    worthless = {
      nothing: {},
      'an API key that was revoked': bearer(revoked.key),
      'an API key that has expired': bearer(key('ann', 'user', new Date(Date.now() - 1)).key),
      'an API key with another secret': bearer(flipped),
      'an API key of another server': bearer('sk-proj-0123456789'),
      'another scheme': { authorization: `Basic ${Buffer.from('ann:x').toString('base64')}` },
      'a JWT that has expired': bearer(jwt({ ...claims, exp: soon() - 2 * DAY_S })),
      'a JWT without exp': bearer(jwt({ sub: 'ann' })),
      'a JWT that is not yet valid': bearer(jwt({ ...claims, nbf: soon() - 60 })),
      'a JWT that is signed otherwise': bearer(jwt(claims, 'another-secret-of-someone')),
      'a JWT that is not signed': bearer(unsigned(claims)),
      'a JWT of the anonymous principal': bearer(jwt({ ...claims, sub: 'anonymous' })),
      'a JWT of the holder of a token': bearer(jwt({ ...claims, sub: `session:${randomUUID()}` })),
      'a JWT of an unknown role': bearer(jwt({ ...claims, sbp_role: 'admin' })),
      [AS_BEARER]: bearer(tokenFor(randomUUID())),
      'a forged session token': { 'x-session-token': jwt({ sid: randomUUID() }) },
    };
  });

  async function treasure(): Promise<Treasure> {
    const secret = `secret-${randomUUID()}`;
    const agent = new Agent(server().url);
    const { sbp } = await agent.turn(`Keep this: ${secret}`, {}, { headers: ann });
    const at = `sessions/${sbp.session_id}`;
    const revoked = await agent.send(`${at}/token`, {}, ann);
    const renewed = await agent.send(`${at}/token`, { revoke: true }, ann);
    const exported = await agent.send(`${at}/export`, { label: 'for a friend' }, ann);
    const { roaming_token, export_id, bundle_cid } = ExportResponse.parse(exported.json);
    return {
      sessionId: sbp.session_id,
      token: (renewed.json as { session_token: string }).session_token,
      revokedToken: (revoked.json as { session_token: string }).session_token,
      turnId: sbp.turn_id,
      secret,
      roamingToken: roaming_token,
      exportId: export_id,
      bundleCid: bundle_cid,
      snapshotId: sbp.snapshot_id ?? '',
    };
  }

  const codeOf = ({ json }: Answer) => Failure.parse(json).error.code;
  const nameOf = ({ method, path }: Route) => `${method} ${path}`;

  // [SBP-SEC-60]
  const routes = ROUTES.map((route) => [nameOf(route), route] as const);
  describe.each(routes.filter(([name]) => name !== BY_FRAME))('§10 %s', (name, route) => {
    const asked = requestsOf(route);
    const send = (headers: Headings, of: Treasure): Promise<Answer> => {
      const { path, init } = asked.request(of);
      const all = { ...(init.headers as Headings), ...headers };
      const sent = { ...init, headers: all };
      return (asked.isEndless ? begunAnswer : request)(`${server().url}${path}`, sent);
    };

    it('gives to whom it may, and nothing to anybody else', async () => {
      const of = await treasure();
      const leaks = (answer: Answer) => answer.text.includes(of.secret);
      const told: Record<string, string> = {};
      const note = (who: string, answer: Answer) => {
        expect(leaks(answer), who).toBe(false);
        told[who] = answer.status < 400 ? String(answer.status) : (codeOf(answer) ?? 'no code');
      };
      if (asked.needs === 'nothing' || asked.needs === 'a roaming token') {
        const answer = await send({}, of);
        expect(answer.status).toBe(asked.ok);
        return;
      }
      for (const [what, headers] of Object.entries(worthless)) note(what, await send(headers, of));
      // Clients of MCP send a session's token as Bearer: this one is of another session.
      const foreignToken = name.endsWith('/mcp') ? { [AS_BEARER]: 'SBP_FORBIDDEN' } : {};
      const all = Object.keys(worthless).map((what) => [what, 'SBP_UNAUTHORIZED']);
      expect(told).toEqual({ ...Object.fromEntries(all), ...foreignToken });
      const tokens = {
        revoked: { 'x-session-token': of.revokedToken },
        foreign: { 'x-session-token': tokenFor(randomUUID()) },
      };
      for (const [what, headers] of Object.entries({ ...tokens, bob, operator })) {
        note(what, await send(headers, of));
      }
      expect(told).toMatchObject(asked.told);
      note('expired', await send({ 'x-session-token': expiredTokenFor(of.sessionId) }, of));
      expect(told['expired']).toBe('SBP_UNAUTHORIZED');
      if (asked.needs === 'an operator') {
        note('its owner', await send(ann, of));
        expect(told['its owner']).toBe('SBP_FORBIDDEN');
        return;
      }
      if (asked.needs === 'its session') {
        // The token of the session is enough, also beside another principal's key.
        const byToken = await send({ ...bob, 'x-session-token': of.token }, of);
        expect([byToken.status, byToken.text]).toEqual([asked.ok, expect.anything()]);
      }
      const own = await send(ann, asked.needs === 'its session' ? await treasure() : of);
      expect([own.status, own.text]).toEqual([asked.ok, expect.anything()]);
    });
  });

  // [SBP-SEC-60]
  describe('§10 principals', () => {
    it('are the same by an API key and by a JWT, and part agents of one name', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const one = await agent.turn('One.', {}, { headers: ann });
      const byJwt = bearer(jwt({ sub: 'ann', exp: soon() }));
      const two = await agent.turn('Two.', {}, { headers: byJwt });
      expect(two.sbp.session_id).toBe(one.sbp.session_id);
      const other = await agent.turn('Three.', {}, { headers: bob });
      expect(other.sbp.session_id).not.toBe(one.sbp.session_id);
    });

    it('do not join turns of one another by the same Idempotency-Key', async () => {
      const agent = new Agent(server().url);
      const repeat = { 'idempotency-key': randomUUID() };
      const one = await agent.turn('Mine.', {}, { headers: { ...ann, ...repeat } });
      const again = await agent.turn('Mine.', {}, { headers: { ...ann, ...repeat } });
      const two = await agent.turn('Mine.', {}, { headers: { ...bob, ...repeat } });
      expect(again.sbp.turn_id).toBe(one.sbp.turn_id);
      expect(two.sbp.turn_id).not.toBe(one.sbp.turn_id);
      expect(two.sbp.session_id).not.toBe(one.sbp.session_id);
    });

    it('see their own sessions alone in lists, and no cursor leads to others', async () => {
      const { sessionId } = await treasure();
      const agent = new Agent(server().url);
      const list = (query: string, who: Headings) => agent.get(`sessions?${query}`, who);
      expect(SessionsResponse.parse((await list('', carl)).json)).toEqual({
        sessions: [],
        next_cursor: null,
      });
      const mine = SessionsResponse.parse((await list('limit=100', ann)).json).sessions;
      expect(mine.map(({ session_id }) => session_id)).toContain(sessionId);
      expect(mine.every((session) => session.principal === undefined)).toBe(true);
      expect((await list(`cursor=${sessionId}`, carl)).status).toBe(422);
      expect((await list('principal=ann', carl)).status).toBe(403);
      expect((await list('principal=carl', carl)).status).toBe(200);
    });

    it('are known and forgotten by a running server', async () => {
      const agent = new Agent(server().url);
      const { key: text, listed } = key('dora');
      const dora = bearer(text);
      const status = async () => (await agent.get('sessions', dora)).status;
      await eventually(async () => expect(await status()).toBe(200));
      keys().revoke(listed.id);
      await eventually(async () => expect(await status()).toBe(401));
    });

    it('import what they were given a token of, as their own', async () => {
      const of = await treasure();
      const agent = new Agent(server().url);
      const imported = await agent.send(
        'sessions/import',
        { roaming_token: of.roamingToken, target_agent_id: 'guest' },
        bob,
      );
      expect(imported.status).toBe(201);
      const { session_id: copy } = imported.json as { session_id: string };
      expect((await agent.get(`sessions/${copy}`, bob)).status).toBe(200);
      expect((await agent.get(`sessions/${copy}`, ann)).status).toBe(404);
      // Where it went is nobody's business who has only its origin.
      const lineage = await agent.get(`sessions/${of.sessionId}/lineage`, ann);
      expect(lineage.text).not.toContain('bob');
    });
  });

  // [SBP-SEC-60]
  describe('§10 an operator', () => {
    it('sees whose sessions there are, and nothing that was said in them', async () => {
      const of = await treasure();
      const agent = new Agent(server().url);
      const one = await agent.get(`sessions/${of.sessionId}`, operator);
      expect(SessionResponse.parse(one.json)).toMatchObject({ principal: 'ann', label: null });
      expect(one.text).not.toContain(of.secret);
      const unnamed = await agent.get('sessions', operator);
      expect([unnamed.status, codeOf(unnamed)]).toEqual([422, 'SBP_INVALID_REQUEST']);
      const list = await agent.get('sessions?principal=ann&limit=100', operator);
      const found = SessionsResponse.parse(list.json).sessions;
      expect(found.map(({ session_id }) => session_id)).toContain(of.sessionId);
      expect(list.text).not.toContain(of.secret);
    });
  });

  // [SBP-OPS-01] [SBP-SEC-60]
  describe('§10 the audit trail', () => {
    const agentOf = () => new Agent(server().url);

    /** By type, who is recorded for the events of a session, each once. */
    async function recorded(sessionId: string): Promise<Readonly<Record<string, unknown>>> {
      const { json } = await agentOf().get(`audit?session_id=${sessionId}&limit=1000`, operator);
      const { records } = AuditResponse.parse(json);
      const byType = Map.groupBy(records, ({ type }) => type);
      return Object.fromEntries(
        [...byType].map(([type, found]) => [
          type,
          [...new Set(found.map(({ by }) => by.principal))].sort(),
        ]),
      );
    }

    it('names who acts in a session, and not whose it is', async () => {
      const { sessionId, token } = await treasure();
      const agent = agentOf();
      const at = `sessions/${sessionId}`;
      const finder = { 'x-session-token': token };
      const holder = `session:${sessionId}`;
      const sent = async (path: string, body: object, headers: Headings) => {
        const answer = await agent.send(`${at}/${path}`, body, headers);
        expect(answer.status, answer.text).toBeLessThan(300);
        return answer.json;
      };
      const byFinder = ExportResponse.parse(await sent('export', {}, finder));
      await sent('export', {}, { ...bob, ...finder });
      expect((await agent.delete(`exports/${byFinder.export_id}`, finder)).status).toBe(204);
      const copy = ForkResponse.parse(await sent('fork', {}, finder)).fork_session_id;
      for (const status of ['suspended', 'running']) {
        expect((await agent.patch(sessionId, status, finder)).status).toBe(200);
      }
      const slowly = { model: 'm', messages: [{ role: 'user', content: steered(SLOW, 'Go.') }] };
      const waiting = { ...slowly, sbp: { session_id: sessionId, background: true } };
      expect((await agent.post(waiting, ann)).status).toBe(202);
      await eventually(() => sent('cancel', {}, finder));
      await sent('token', { revoke: true }, finder);
      const next = HandoffResponse.parse(await sent('handoff', { to_agent_id: 'next' }, ann));
      await eventually(async () =>
        expect(await recorded(sessionId)).toMatchObject({
          'session.opened': ['ann'],
          'session.exported': ['ann', 'bob', holder],
          'export.revoked': [holder],
          'session.suspended': [holder],
          'session.resumed': [holder],
          'turn.cancelled': [holder],
          'session.tokens_revoked': ['ann', holder],
          'session.handed_off': ['ann'],
        }),
      );
      await eventually(async () =>
        expect(await recorded(copy)).toMatchObject({ 'session.opened': [holder] }),
      );
      // Whoever made them, they are hers.
      for (const id of [copy, next.new_session_id]) {
        expect((await agent.get(`sessions/${id}`, ann)).status).toBe(200);
        expect((await agent.get(`sessions/${id}`, bob)).status).toBe(404);
      }
      const found = await agent.get(`audit?principal=${holder}`, operator);
      expect(AuditResponse.parse(found.json).records.length).toBeGreaterThan(0);
    });

    it('has nothing of an operator, who may change nothing, also by a token', async () => {
      const { sessionId, token } = await treasure();
      const agent = agentOf();
      for (const headers of [operator, { ...operator, 'x-session-token': token }]) {
        for (const path of ['export', 'fork', 'token']) {
          const answer = await agent.send(`sessions/${sessionId}/${path}`, {}, headers);
          expect([answer.status, codeOf(answer)]).toEqual([403, 'SBP_FORBIDDEN']);
        }
      }
      // What comes later is there, so what came before would be.
      expect((await agent.patch(sessionId, 'suspended', ann)).status).toBe(200);
      await eventually(async () =>
        expect(await recorded(sessionId)).toMatchObject({ 'session.suspended': ['ann'] }),
      );
      expect(JSON.stringify(await recorded(sessionId))).not.toContain('olga');
    });
  });

  // [SBP-SEC-60] [SBP-L3-07]
  describe('§10 an export that is to be revoked', () => {
    it('is looked for only once it is known who asks', async () => {
      const { exportId } = await treasure();
      const agent = new Agent(server().url);
      for (const id of [exportId, randomUUID()]) {
        const unknown = await agent.delete(`exports/${id}`);
        expect([unknown.status, codeOf(unknown)]).toEqual([401, 'SBP_UNAUTHORIZED']);
        const foreign = { 'x-session-token': tokenFor(randomUUID()) };
        for (const headers of [bob, foreign]) {
          const answer = await agent.delete(`exports/${id}`, headers);
          expect([answer.status, codeOf(answer)]).toEqual([404, 'SBP_SESSION_NOT_FOUND']);
          expect(answer.text).toContain(id);
        }
      }
    });
  });

  // [SBP-SEC-60]
  describe('§10 a surface', () => {
    it.each([
      ['an API key', () => ann['authorization']?.slice('Bearer '.length) ?? ''],
      ['a token of another session', () => tokenFor(randomUUID())],
      ['a revoked token', ({ revokedToken }: Treasure) => revokedToken],
      ['an expired token', ({ sessionId }: Treasure) => expiredTokenFor(sessionId)],
      ['an API key of an operator', () => key('olga', 'operator').key],
      ['no token', () => ''],
    ])('with %s is closed with 4003 and told nothing', async (_what, credential) => {
      const of = await treasure();
      const surface = await Surface.connect(server().url, of.sessionId);
      surface.attach({ session_id: of.sessionId, session_token: credential(of) });
      expect(await surface.next('FORBIDDEN')).not.toHaveProperty('session_token');
      expect(await surface.closed).toBe(4003);
    });

    it('with the session’s token attaches', async () => {
      const { sessionId: session_id, token: session_token } = await treasure();
      const surface = await Surface.attach(server().url, { session_id, session_token });
      expect(surface.attached).toMatchObject({ session_id });
      await surface.detach();
    });
  });

  // [SBP-SEC-60]
  describe('§10 a request that passes to the model', () => {
    it.each(MODEL_PATHS)('%s %s needs a user', async (method, path) => {
      const send = (headers: Headings) =>
        request(`${server().url}${path}`, {
          method,
          headers: { 'content-type': 'application/json', ...headers },
          ...(method === 'POST'
            ? { body: '{"model":"m","messages":[{"role":"user","content":"Hi."}]}' }
            : {}),
        });
      for (const headers of Object.values(worthless)) {
        const answer = await send(headers);
        expect([answer.status, codeOf(answer)]).toEqual([401, 'SBP_UNAUTHORIZED']);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
      const byOperator = await send(operator);
      expect([byOperator.status, codeOf(byOperator)]).toEqual([403, 'SBP_FORBIDDEN']);
      expect((await send(bob)).status).toBe(200);
    });
  });

  // [SBP-LIM-01]
  describe('§10 a principal with too much at once', () => {
    it('is told 429 with Retry-After, while others are served, and goes on afterwards', async () => {
      const agent = new Agent(server().replicas('completions').first);
      const hungry = bearer(key('hugo').key);
      const ask = (who: Headings) =>
        agent.post(
          {
            model: 'm',
            messages: [{ role: 'user', content: steered('ttft=3000', 'Slowly.') }],
            sbp: { force_new_session: true },
          },
          who,
        );
      await eventually(async () => expect((await ask(hungry)).status).toBe(200));
      const answers = Promise.all(Array.from({ length: MOST_AT_ONCE + 4 }, () => ask(hungry)));
      expect((await ask(bob)).status).toBe(200);
      const told = (await answers).map(({ status }) => status);
      expect(told.filter((status) => status === 200)).toHaveLength(MOST_AT_ONCE);
      const refused = (await answers).filter(({ status }) => status !== 200);
      expect(refused.map(codeOf)).toEqual(Array(4).fill('SBP_RATE_LIMITED'));
      expect(refused.every(({ headers }) => headers.get('retry-after') === '1')).toBe(true);
      expect((await ask(hungry)).status).toBe(200);
    });
  });

  // [SBP-SEC-01]
  describe('§10 a session’s token alone', () => {
    it('runs turns of its session, and opens no other', async () => {
      const { sessionId, token } = await treasure();
      const agent = new Agent(server().url);
      const headers = { 'x-session-token': token };
      const { sbp } = await agent.turn('Go on.', {}, { headers });
      expect(sbp).toMatchObject({ session_id: sessionId, step_count: 2 });
      const body = { model: 'm', messages: [{ role: 'user', content: 'Hi.' }] };
      const forced = await agent.post({ ...body, sbp: { force_new_session: true } }, headers);
      expect([forced.status, codeOf(forced)]).toEqual([403, 'SBP_FORBIDDEN']);
      const tracked = await agent.post(body, headers);
      expect(Completion.parse(tracked.json).sbp).toMatchObject({ session_id: sessionId });
    });
  });
}
