import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Agent } from '../clients/agent.js';
import { textOf } from '../clients/bodies.js';
import { Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';
import { visit } from './tether.contract.js';

export function frameNames(server: GetServer): void {
  /** A turn in the drain and one that is live, and the frames of both. */
  async function framesOf(context: object) {
    const { url } = server();
    const agent = new Agent(url);
    const { sbp } = await agent.turn('Hello.');
    await visit(url, sbp);
    const drained = textOf((await agent.turn('One.')).completion);
    const surface = await Surface.attach(url, sbp, { context: { acknowledges: true, ...context } });
    const tetherTurn = await surface.next('TETHER_TURN');
    await surface.acknowledge();
    const { completion, sbp: last } = await agent.turn('Two.');
    return { session_id: sbp.session_id, drained, surface, tetherTurn, completion, last };
  }

  // [SBP-WS-13]
  describe('§8 the field names of public clients', () => {
    it('stand beside those of the contract', async () => {
      const { session_id, drained, surface, tetherTurn, completion, last } = await framesOf({});
      expect(tetherTurn).toMatchObject({
        session_id,
        content: drained,
        turn: { role: 'assistant', content: drained, model_used: 'gpt-4o' },
      });
      const complete = await surface.next('TURN_COMPLETE');
      expect(complete).toMatchObject({ session_id, step: 3, model: 'gpt-4o', cost_usd: 0 });
      expect(complete.turn_id).toBe(last.turn_id);
      const chunks = surface.of('TURN_CHUNK');
      expect(chunks.map(({ chunk }) => chunk).join('')).toBe(textOf(completion));
      for (const chunk of chunks) {
        expect(chunk).toMatchObject({ session_id, step: 3, content: chunk.delta });
      }
    });

    it('are left out where the surface wants none', async () => {
      const { surface, tetherTurn } = await framesOf({ aliases: false });
      const complete = await surface.next('TURN_COMPLETE');
      const names = [tetherTurn, ...surface.of('TURN_CHUNK'), complete].flatMap(Object.keys);
      for (const name of ['session_id', 'turn', 'chunk', 'step', 'model', 'cost_usd']) {
        expect(names).not.toContain(name);
      }
    });

    it('say which session was not found', async () => {
      const session_id = randomUUID();
      const key = { session_id, session_token: 'none' };
      const named = await Surface.connect(server().url, session_id);
      named.attach(key);
      expect(await named.next('SESSION_NOT_FOUND')).toMatchObject({ session_id });
      const plain = await Surface.connect(server().url, session_id);
      plain.attach(key, { aliases: false });
      expect(await plain.next('SESSION_NOT_FOUND')).not.toHaveProperty('session_id');
    });
  });

  describe('§6 a surface that does not stream', () => {
    // [SBP-L4-07]
    it('gets a live turn as one frame, which counts on from the drain', async () => {
      const capabilities = { ui_capabilities: ['markdown', 'tables', 'images'] };
      const { surface, tetherTurn, completion, last } = await framesOf(capabilities);
      expect(tetherTurn).toMatchObject({ turn_index: 0, seq: 1 });
      expect(await surface.next('TETHER_TURN')).toMatchObject({
        ...{ turn_index: 1, seq: 2, status: 'completed' },
        ...{ turn_id: last.turn_id, content: textOf(completion) },
      });
      await surface.next('PING');
      const types = new Set(surface.frames.map(({ type }) => type));
      expect([...types]).toEqual(['SESSION_ATTACHED', 'TETHER_TURN', 'PING']);
    });
  });
}
