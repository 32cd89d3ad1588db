import { describe, expect, it } from 'vitest';
import { Agent, steered } from '../clients/agent.js';
import { textOf } from '../clients/bodies.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import type { SessionKey } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

/** A surface that was there once and left, so that the Tether keeps what follows. */
export async function visit(url: string, key: SessionKey): Promise<void> {
  const surface = await Surface.attach(url, key);
  await surface.detach();
}

export function theTether(server: GetServer): void {
  describe('§4 the Tether', () => {
    // [SBP-L2-10] [SBP-L2-12] [SBP-L2-20]
    it('keeps what is made while no surface is there, and drains it in order, before anything else', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      await visit(url, sbp);
      const turns = [await agent.turn('One.'), await agent.turn('Two.')];
      const stream = await (await agent.stream('Three.', {}, { model: 'another-model' })).whole();
      expect(await agent.session(sbp.session_id)).toMatchObject({ queued_turns: 3 });

      const surface = await Surface.attach(url, sbp, ACKNOWLEDGES);
      await surface.next('PING');
      expect(surface.frames.map(({ type }) => type)).toEqual([
        'SESSION_ATTACHED',
        'TETHER_TURN',
        'TETHER_TURN',
        'TETHER_TURN',
        'PING',
      ]);
      expect(surface.attached.queued_turns).toBe(3);
      const drained = surface.of('TETHER_TURN');
      expect(drained.map(({ turn_index, seq }) => [turn_index, seq])).toEqual([
        [0, 1],
        [1, 2],
        [2, 3],
      ]);
      expect(drained.map(({ content }) => content)).toEqual([
        ...turns.map(({ completion }) => textOf(completion)),
        stream.text(),
      ]);
      expect(drained.map(({ model_used }) => model_used)).toEqual([
        'gpt-4o',
        'gpt-4o',
        'another-model',
      ]);
      expect(drained.map(({ turn_id }) => turn_id)).toEqual([
        ...turns.map((turn) => turn.sbp.turn_id),
        stream.chunks.at(-1)?.sbp?.turn_id,
      ]);
      expect(drained.map(({ status, role, error }) => [status, role, error])).toEqual(
        drained.map(() => ['completed', 'assistant', undefined]),
      );
    });

    // [SBP-L2-11]
    it('does not keep what its caller received in full before any surface was there', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('One.');
      await (await agent.stream('Two.')).whole();
      expect((await Surface.attach(url, sbp)).attached.queued_turns).toBe(0);
    });

    // [SBP-L2-11] [SBP-L1-37]
    it('keeps a turn that nobody received, also before any surface was there', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const stream = await agent.stream(steered('interval=100', 'Hello.'));
      await stream.until((so) => so.text() !== '');
      const session_id = stream.headers.get('x-sbp-session-id') ?? '';
      const session_token = stream.headers.get('x-session-token') ?? '';
      await stream.leave();
      await eventually(async () => {
        expect(await agent.session(session_id)).toMatchObject({ queued_turns: 1 });
      });
      const surface = await Surface.attach(url, { session_id, session_token });
      expect(surface.attached.queued_turns).toBe(1);
      const [, answer] = await agent.messages(session_id);
      expect((await surface.next('TETHER_TURN')).content).toBe(answer?.['content']);
    });

    // [SBP-L2-13]
    it('keeps no failure that its caller was told of while no surface was there', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      await visit(url, sbp);
      const messages = [{ role: 'user', content: steered('fail=status:500', 'Two.') }];
      expect((await agent.post({ model: 'gpt-4o', messages, sbp: {} })).status).toBe(500);
      const { sbp: last } = await agent.turn('Three.');
      const surface = await Surface.attach(url, sbp);
      expect(surface.attached.queued_turns).toBe(1);
      expect(await surface.next('TETHER_TURN')).toMatchObject({
        turn_id: last.turn_id,
        status: 'completed',
      });
    });

    // [SBP-L2-13] [SBP-L2-45]
    it('keeps a failure that nobody was told of', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      await visit(url, sbp);
      const stream = await agent.stream(steered('interval=100 fail=break:20', 'Two.'));
      await stream.until((so) => so.text() !== '');
      await stream.leave();
      await eventually(async () => {
        expect(await agent.session(sbp.session_id)).toMatchObject({ queued_turns: 1 });
      });
      const surface = await Surface.attach(url, sbp);
      expect(await surface.next('TETHER_TURN')).toMatchObject({
        status: 'failed',
        content: '',
        error: { code: 'SBP_UPSTREAM_UNAVAILABLE' },
      });
    });

    // [SBP-L2-03]
    it('drains on any replica what another one kept', async () => {
      const { url, replicas } = server();
      const [gateways, completions] = [replicas('gateway'), replicas('completions')];
      const agent = new Agent(url);
      const { sbp } = await agent.at(completions.first).turn('Hello.');
      await visit(gateways.first, sbp);
      const { completion } = await agent.at(completions.second).turn('One.');
      const surface = await Surface.attach(gateways.second, sbp, ACKNOWLEDGES);
      expect((await surface.next('TETHER_TURN')).content).toBe(textOf(completion));
      await surface.acknowledge();
      await eventually(async () => {
        expect(await agent.at(replicas('sessions').second).session(sbp.session_id)).toMatchObject({
          queued_turns: 0,
        });
      });
      await surface.close(1000);
      expect((await Surface.attach(gateways.first, sbp)).attached.queued_turns).toBe(0);
    });

    it('is read by the turns of one session only', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: one } = await agent.turn('One.');
      const { sbp: other } = await agent.turn('Other.', { force_new_session: true });
      await visit(url, one);
      await visit(url, other);
      const { sbp: kept } = await agent.turn('Go on.', { session_id: one.session_id });
      expect((await Surface.attach(url, other)).attached.queued_turns).toBe(0);
      const surface = await Surface.attach(url, one);
      expect((await surface.next('TETHER_TURN')).turn_id).toBe(kept.turn_id);
    });
  });
}
