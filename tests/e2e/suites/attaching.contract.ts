import { describe, expect, it } from 'vitest';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import { Agent } from '../clients/agent.js';
import { opened } from '../clients/tokens.js';
import { Surface } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

export function attaching(server: GetServer): void {
  describe('§4 §6 attaching', () => {
    // [SBP-L2-21] [SBP-L4-02] [SBP-WS-09]
    it('is answered with what the surface said of itself, and a renewed token that works', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp, {
        context: {
          device_type: 'mobile',
          surface_id: 'phone-1',
          ui_capabilities: ['markdown', 'streaming', 'telepathy'],
          mcp_tools: ['camera', 'gps', 'camera'],
          locale: 'en-US',
          max_output_tokens: 300,
          from_the_future: { a: 1 },
        },
      });
      expect(surface.attached).toEqual({
        type: 'SESSION_ATTACHED',
        session_id: sbp.session_id,
        surface_id: 'phone-1',
        device_type: 'mobile',
        queued_turns: 0,
        mcp_tools_registered: ['camera', 'gps'],
        sbp_version: SBP_VERSION,
        sbp_level: SBP_LEVEL,
        session_token: expect.any(String) as unknown,
      });
      expect(surface.attached.session_token).not.toBe(sbp.session_token);
      expect(opened(surface.attached.session_token).claims).toMatchObject({ sid: sbp.session_id });
      const renewed = { 'x-session-token': surface.attached.session_token };
      const { sbp: next } = await agent.turn('Go on.', null, { headers: renewed });
      expect(next).toMatchObject({ session_id: sbp.session_id, step_count: 2 });
      // Attaching to a running session is idempotent: it is the same session still.
      expect(await agent.session(sbp.session_id)).toMatchObject({
        surface: { surface_id: 'phone-1', device_type: 'mobile' },
      });
    });

    // [SBP-L4-01]
    it.for([
      ['no context', undefined, 'unknown'],
      ['a null context', null, 'unknown'],
      ['an empty context', {}, 'unknown'],
      [
        'fields that are null',
        { device_type: null, ui_capabilities: null, mcp_tools: null },
        'unknown',
      ],
      ['a device of its own kind', { device_type: 'fridge' }, 'fridge'],
    ] as const)('works with %s, and streams', async ([, context, device]) => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp, { context });
      expect(surface.attached).toMatchObject({
        device_type: device,
        surface_id: null,
        mcp_tools_registered: [],
      });
      const stream = await (await agent.stream('Go on.')).whole();
      const { chunk_id } = await surface.next('TURN_COMPLETE');
      expect(surface.text(chunk_id)).toBe(stream.text());
    });

    it('shows in the session, and so does leaving', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      expect(await agent.session(sbp.session_id)).toMatchObject({
        status: 'running',
        surface: null,
      });
      const surface = await Surface.attach(url, sbp, { context: { device_type: 'browser' } });
      expect(await agent.session(sbp.session_id)).toMatchObject({
        status: 'running',
        status_reason: null,
        surface: { device_type: 'browser' },
      });
      await surface.detach();
      const gone = { status: 'suspended', status_reason: 'surface_gone', surface: null };
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject(gone);
      });
      // A session that only lost its surface keeps working, and so does the turn that finds it.
      expect((await agent.turn('Go on.')).sbp).toMatchObject({
        session_id: sbp.session_id,
        step_count: 2,
      });
      expect(await agent.session(sbp.session_id)).toMatchObject({ ...gone, queued_turns: 1 });
    });

    it('shows in the session when the socket is cut off, too', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp);
      await surface.drop();
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject({
          status_reason: 'surface_gone',
          surface: null,
        });
      });
    });

    // [SBP-L2-24]
    it('again on the same socket attaches anew: new context, SESSION_ATTACHED, and the drain', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const first = await Surface.attach(url, sbp);
      await first.detach();
      await agent.turn('While nobody is there.');

      const surface = await Surface.attach(url, sbp, {
        context: { device_type: 'mobile', acknowledges: true },
      });
      const drained = await surface.next('TETHER_TURN');
      surface.attach(sbp, { device_type: 'desktop', acknowledges: true });
      expect(await surface.next('SESSION_ATTACHED')).toMatchObject({
        device_type: 'desktop',
        queued_turns: 1,
      });
      expect(await surface.next('TETHER_TURN')).toEqual(drained);
      expect(await agent.session(sbp.session_id)).toMatchObject({
        surface: { device_type: 'desktop' },
      });
      // The PING that is outstanding is answered by the next PONG, whichever attach it followed.
      await surface.until((so) => so.of('PING').length > 0);
      surface.pong();
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject({ queued_turns: 0 });
      });
      const stream = await (await agent.stream('Go on.')).whole();
      const { chunk_id } = await surface.next('TURN_COMPLETE');
      expect(surface.text(chunk_id)).toBe(stream.text());
    });

    // [SBP-WS-05]
    it('frames that come before SESSION_ATTACHED wait, in order', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.connect(url, sbp.session_id);
      surface.attach(sbp, { device_type: 'mobile' });
      surface.attach(sbp, { device_type: 'desktop' });
      surface.send({ type: 'DETACH' });
      expect(await surface.closed).toBe(1000);
      expect(surface.of('SESSION_ATTACHED').map(({ device_type }) => device_type)).toEqual([
        'mobile',
        'desktop',
      ]);
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject({ surface: null });
      });
    });
  });
}
