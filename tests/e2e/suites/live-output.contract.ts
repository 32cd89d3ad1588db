import { describe, expect, it } from 'vitest';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { textOf } from '../clients/bodies.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';

/**
 * Long enough that a surface can leave and come back in the middle of it, on a busy machine too.
 */
const LONG = 'tokens=80 interval=100';
const EMOJI = '🦊🎉 Grüße an 👩‍👩‍👧 von 𝒽ier.';

export function liveOutput(server: GetServer): void {
  async function attachedAgent() {
    const { url } = server();
    const agent = new Agent(url);
    const { sbp: key } = await agent.turn('Hello.');
    const context = { acknowledges: true, aliases: false };
    return { agent, key, surface: await Surface.attach(url, key, { context }) };
  }

  describe('§4 §8 live output', () => {
    // [SBP-L2-30] [SBP-L2-41] [SBP-L2-43]
    it('comes as chunks of one attempt, and ends with TURN_COMPLETE and a PING', async () => {
      const { agent, surface } = await attachedAgent();
      const stream = await (await agent.stream(steered('interval=20', 'Go on.'))).whole();
      const complete = await surface.next('TURN_COMPLETE');
      await surface.next('PING');
      expect(complete).toEqual({
        type: 'TURN_COMPLETE',
        chunk_id: expect.any(String) as unknown,
        turn_id: stream.chunks.at(-1)?.sbp?.turn_id,
        seq: 1,
        status: 'completed',
      });
      expect(surface.text(complete.chunk_id)).toBe(stream.text());
      const chunks = surface.of('TURN_CHUNK');
      expect(chunks.length).toBeGreaterThan(1);
      expect(new Set(chunks.map(({ chunk_id, turn_id }) => `${chunk_id} ${turn_id}`)).size).toBe(1);
      expect(chunks.filter((chunk) => 'replaces' in chunk)).toEqual([]);
      expect(surface.frames.map(({ type }) => type).slice(-2)).toEqual(['TURN_COMPLETE', 'PING']);
      expect(surface.of('TETHER_TURN')).toEqual([]);
    });

    it('comes while the turn runs', async () => {
      const { agent, key, surface } = await attachedAgent();
      const stream = await agent.stream(steered('interval=100', 'Go on.'));
      const { turn_id } = await surface.next('TURN_CHUNK');
      expect(await agent.session(key.session_id)).toMatchObject({ turn_in_flight: turn_id });
      await stream.whole();
    });

    it('comes of a turn whose caller does not stream, too', async () => {
      const { agent, surface } = await attachedAgent();
      const { completion, sbp } = await agent.turn('Go on.');
      const { chunk_id, turn_id } = await surface.next('TURN_COMPLETE');
      expect(turn_id).toBe(sbp.turn_id);
      expect(surface.text(chunk_id)).toBe(textOf(completion));
    });

    it('comes turn after turn, numbered without gaps', async () => {
      const { agent, surface } = await attachedAgent();
      const answers: string[] = [];
      for (const text of ['One.', 'Two.', 'Three.'])
        answers.push(textOf((await agent.turn(text)).completion));
      await surface.until((so) => so.of('TURN_COMPLETE').length === 3);
      const completes = surface.of('TURN_COMPLETE');
      expect(completes.map(({ seq }) => seq)).toEqual([1, 2, 3]);
      expect(completes.map(({ chunk_id }) => surface.text(chunk_id))).toEqual(answers);
    });

    it('follows the drain, and its numbers go on', async () => {
      const { agent, key, surface } = await attachedAgent();
      await surface.detach();
      await agent.turn('One.');
      const returned = await Surface.attach(server().url, key, ACKNOWLEDGES);
      await returned.acknowledge();
      const { completion } = await agent.turn('Two.');
      const { seq, chunk_id } = await returned.next('TURN_COMPLETE');
      expect(returned.of('TETHER_TURN').map((turn) => turn.seq)).toEqual([1]);
      expect(seq).toBe(2);
      expect(returned.text(chunk_id)).toBe(textOf(completion));
    });

    // [SBP-L2-40] [SBP-L2-41]
    it('that is joined in the middle begins with the text so far; offsets count code points', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const stream = await agent.stream(steered(LONG, EMOJI));
      await stream.until((so) => so.text().includes('𝒽ier'));
      const session_id = stream.headers.get('x-sbp-session-id') ?? '';
      const surface = await Surface.attach(url, {
        session_id,
        session_token: stream.headers.get('x-session-token') ?? '',
      });
      expect(surface.attached.queued_turns).toBe(0);
      const first = await surface.next('TURN_CHUNK');
      expect(first.offset).toBe(0);
      expect(first.delta).toContain('𝒽ier');
      const live = await surface.next('TURN_CHUNK');
      expect(live.chunk_id).toBe(first.chunk_id);
      expect(live.offset).toBe(Array.from(first.delta).length);
      await stream.whole();
      const { chunk_id, status } = await surface.next('TURN_COMPLETE');
      expect(status).toBe('completed');
      expect(chunk_id).toBe(first.chunk_id);
      expect(surface.text(chunk_id)).toBe(stream.text());
    });

    // [SBP-L2-44]
    it('of a surface that drops in the middle of a turn comes whole, as a TETHER_TURN, when it returns after the end', async () => {
      const { agent, key, surface } = await attachedAgent();
      const stream = await agent.stream(steered('interval=50', 'Go on.'));
      await surface.next('TURN_CHUNK');
      await surface.drop();
      await stream.whole();
      const returned = await Surface.attach(server().url, key);
      expect(returned.attached.queued_turns).toBe(1);
      const turn = await returned.next('TETHER_TURN');
      expect(turn).toMatchObject({
        content: stream.text(),
        turn_id: stream.chunks.at(-1)?.sbp?.turn_id,
      });
      expect(returned.of('TURN_CHUNK')).toEqual([]);
    });

    // [SBP-L2-40] [SBP-L2-41] [SBP-L2-43]
    it('goes on in mid-sentence on another replica than the one that the surface left', async () => {
      const { url, replicas } = server();
      const gateways = replicas('gateway');
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const left = await Surface.attach(gateways.first, key);
      const stream = await agent.at(replicas('completions').second).stream(steered(LONG, EMOJI));
      const { chunk_id } = await left.next('TURN_CHUNK');
      await left.next('TURN_CHUNK');
      await left.drop();
      const seen = left.text(chunk_id);

      const returned = await Surface.attach(gateways.second, key);
      expect(returned.attached.queued_turns).toBe(0);
      const first = await returned.next('TURN_CHUNK');
      expect(first).toMatchObject({ chunk_id, offset: 0 });
      expect(first.delta.startsWith(seen)).toBe(true);
      // It reads on while the turn still runs.
      await returned.next('TURN_CHUNK');
      expect(await agent.session(key.session_id)).toMatchObject({ turn_in_flight: first.turn_id });
      await stream.whole();
      const complete = await returned.next('TURN_COMPLETE');
      expect(complete.chunk_id).toBe(chunk_id);
      expect(returned.text(chunk_id)).toBe(stream.text());
      expect(returned.of('TETHER_TURN')).toEqual([]);
    });

    // [SBP-L2-45]
    it('of a turn that fails ends with its error', async () => {
      const { agent, key, surface } = await attachedAgent();
      const stream = await agent.stream(steered('interval=50 fail=break:6', 'Go on.'));
      expect(await stream.ended).toBe('broken');
      const complete = await surface.next('TURN_COMPLETE');
      expect(complete).toMatchObject({
        seq: 1,
        status: 'failed',
        error: { code: 'SBP_UPSTREAM_UNAVAILABLE', message: expect.any(String) as unknown },
      });
      expect(stream.text().startsWith(surface.text(complete.chunk_id))).toBe(true);
      expect(saidIn(await agent.messages(key.session_id)).at(-1)).toMatch(/^user: /);
    });

    it('of a turn that the model refuses is its error alone', async () => {
      const { agent, surface } = await attachedAgent();
      const messages = [{ role: 'user', content: steered('fail=status:429', 'Go on.') }];
      expect((await agent.post({ model: 'gpt-4o', messages, sbp: {} })).status).toBe(429);
      expect(await surface.next('TURN_COMPLETE')).toMatchObject({ status: 'failed', seq: 1 });
      expect(surface.of('TURN_CHUNK')).toEqual([]);
    });
  });
}
