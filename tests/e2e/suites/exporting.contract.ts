import { describe, expect, it } from 'vitest';
import { ExportResponse, RoamingClaims } from '#libs/protocol';
import { Agent, steered } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import { opened } from '../clients/tokens.js';
import type { GetServer } from '../topology/server.js';

const BAD_BODIES: readonly (readonly [string, unknown, string])[] = [
  ['a time below a minute', { ttl_seconds: 59 }, 'ttl_seconds'],
  ['a time above a week', { ttl_seconds: 604_801 }, 'ttl_seconds'],
  ['half a second', { ttl_seconds: 60.5 }, 'ttl_seconds'],
  ['a time in words', { ttl_seconds: '3600' }, 'ttl_seconds'],
  ['a label of more than 120 characters', { label: 'x'.repeat(121) }, 'label'],
  ['a label that is a number', { label: 7 }, 'label'],
  ['a list', [], 'body'],
  ['what is not JSON', '{"ttl_seconds": ', 'body'],
];

export function exporting(server: GetServer): void {
  describe('§5 export', () => {
    // [SBP-L3-01] [SBP-L3-02]
    it('gives a signed token that refers to the bundle', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn([
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello.' },
      ]);
      const { status, json } = await agent.export(sbp.session_id, {
        ttl_seconds: 3600,
        label: 'Tokyo trip',
      });
      expect(status).toBe(201);
      const exported = ExportResponse.strict().parse(json);
      expect(Object.keys(exported)).toEqual([
        'export_id',
        'roaming_token',
        'session_id',
        'expires_at',
        'bundle_hash',
        'bundle_cid',
        'message_count',
        'label',
      ]);
      expect(exported).toMatchObject({
        session_id: sbp.session_id,
        message_count: 3,
        label: 'Tokyo trip',
      });
      expect(exported.bundle_cid).toMatch(/^[0-9a-f]{64}$/);
      expect(exported.bundle_hash).toBe(exported.bundle_cid);

      const { header, claims } = opened(exported.roaming_token);
      expect(header).toEqual({ alg: 'HS256', typ: 'JWT' });
      const { sub, sid, iat, exp, iss, cid } = RoamingClaims.strict().parse(claims);
      expect({ sub, sid, cid }).toEqual({
        sub: exported.export_id,
        sid: sbp.session_id,
        cid: exported.bundle_cid,
      });
      expect(exp - iat).toBe(3600);
      expect(new Date(exported.expires_at).getTime()).toBe(exp * 1000);
      expect(new URL(iss).port).toBe(new URL(url).port);
    });

    it.for([
      ['no body', undefined, 86_400, null],
      ['an empty object', {}, 86_400, null],
      ['the shortest time and a null label', { ttl_seconds: 60, label: null }, 60, null],
      ['the longest', { ttl_seconds: 604_800, label: 'x'.repeat(120) }, 604_800, 'x'.repeat(120)],
      ['unknown fields', { from_the_future: 1 }, 86_400, null],
    ] as const)('works with %s', async ([, body, lifetime, label]) => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const { status, json } = await agent.export(sbp.session_id, body);
      expect(status).toBe(201);
      const exported = ExportResponse.parse(json);
      expect(exported).toMatchObject({ message_count: 2, label });
      const { iat, exp } = RoamingClaims.parse(opened(exported.roaming_token).claims);
      expect(exp - iat).toBe(lifetime);
    });

    // [SBP-L3-01] [SBP-ERR-03]
    it.for(BAD_BODIES)('refuses %s, and names the field', async ([, body, field]) => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const before = await agent.session(sbp.session_id);
      const { status, json } = await agent.export(sbp.session_id, body);
      expect(status).toBe(422);
      const { error } = Failure.parse(json);
      expect(error.code).toBe('SBP_INVALID_REQUEST');
      expect(error.message).toContain(field);
      expect(await agent.session(sbp.session_id)).toEqual(before);
    });

    it('is another one each time, and no turn', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const [one, two] = await Promise.all([
        agent.export(sbp.session_id),
        agent.export(sbp.session_id),
      ]);
      expect(ExportResponse.parse(one.json).export_id).not.toBe(
        ExportResponse.parse(two.json).export_id,
      );
      expect(await agent.session(sbp.session_id)).toMatchObject({
        step_count: 1,
        message_count: 2,
      });
      expect((await agent.turn('Go on.')).completion.demo?.messages).toBe(3);
    });

    // [SBP-L3-05]
    it('leaves out a turn that is in flight', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.');
      const stream = await agent.stream(steered('interval=100', 'Go on.'));
      await stream.until((so) => so.text() !== '');
      expect(ExportResponse.parse((await agent.export(sbp.session_id)).json).message_count).toBe(2);
      await stream.whole();
      expect(ExportResponse.parse((await agent.export(sbp.session_id)).json).message_count).toBe(4);
    });

    // [SBP-L3-04]
    it('a roaming token opens no session', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const { roaming_token } = ExportResponse.parse((await agent.export(sbp.session_id)).json);
      const { status } = await agent.get(`sessions/${sbp.session_id}`, {
        'x-session-token': roaming_token,
      });
      expect(status).toBe(401);
      const surface = await Surface.connect(url, sbp.session_id);
      surface.attach({ session_id: sbp.session_id, session_token: roaming_token });
      expect(await surface.closed).toBe(4003);
    });
  });
}
