import { describe, expect, it } from 'vitest';
import { Agent, steered } from '../clients/agent.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

export function takeovers(server: GetServer): void {
  describe('§4 one surface at a time', () => {
    // [SBP-L2-22]
    it('a new attach takes over, on any replica; the old socket is closed with 4009', async () => {
      const { url, replicas } = server();
      const gateways = replicas('gateway');
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const old = await Surface.attach(gateways.first, key, { context: { device_type: 'mobile' } });
      const current = await Surface.attach(gateways.second, key, {
        context: { device_type: 'desktop' },
      });
      expect(await old.closed).toBe(4009);
      expect(await agent.session(key.session_id)).toMatchObject({
        surface: { device_type: 'desktop' },
      });
      const stream = await (await agent.stream('Go on.')).whole();
      const { chunk_id } = await current.next('TURN_COMPLETE');
      expect(current.text(chunk_id)).toBe(stream.text());
      expect(old.of('TURN_COMPLETE')).toEqual([]);
    });

    it('in the middle of a turn, the new one gets the text so far and the rest', async () => {
      const { url, replicas } = server();
      const gateways = replicas('gateway');
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const old = await Surface.attach(gateways.second, key);
      const stream = await agent.stream(steered('tokens=40 interval=100', 'Go on.'));
      await old.next('TURN_CHUNK');
      const current = await Surface.attach(gateways.first, key);
      expect(await old.closed).toBe(4009);
      await stream.whole();
      const { chunk_id } = await current.next('TURN_COMPLETE');
      expect(current.text(chunk_id)).toBe(stream.text());
    });

    it('only the current surface can acknowledge', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      await (await Surface.attach(url, key)).detach();
      await agent.turn('While nobody is there.');
      const old = await Surface.attach(url, key, ACKNOWLEDGES);
      await old.next('PING');
      const current = await Surface.attach(url, key, ACKNOWLEDGES);
      old.pong();
      expect(await old.closed).toBe(4009);
      await current.next('PING');
      await current.drop();
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({
          surface: null,
          queued_turns: 1,
        });
      });
    });

    // [SBP-L2-23]
    it('after 5 takeovers within 10 s a further attach is sent away with 1013, and the current one stays', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const surfaces: Surface[] = [];
      for (let at = 0; at < 6; at++) surfaces.push(await Surface.attach(url, key));
      const refused = await Surface.connect(url, key.session_id);
      refused.attach(key);
      expect(await refused.closed).toBe(1013);
      expect(refused.frames).toEqual([]);
      const current = surfaces.pop();
      expect(await Promise.all(surfaces.map(({ closed }) => closed))).toEqual(
        surfaces.map(() => 4009),
      );
      const stream = await (await agent.stream('Go on.')).whole();
      const complete = await current?.next('TURN_COMPLETE');
      expect(current?.text(complete?.chunk_id ?? '')).toBe(stream.text());
    });
  });
}
