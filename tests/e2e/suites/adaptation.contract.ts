import { describe, expect, it } from 'vitest';
import type { Message } from '#libs/protocol';
import { SbpResponse } from '#libs/protocol';
import { z } from 'zod';
import { Agent } from '../clients/agent.js';
import type { StrictModel } from '../clients/strict-model.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import type { GetServer } from '../topology/server.js';

const SYSTEM: Message = { role: 'system', content: 'Be brief.' };
const SPEAKER = { ui_capabilities: ['audio'], locale: 'de-AT', max_output_tokens: 50 };
const SPOKEN =
  'Answer in prose that is fit to be spoken aloud. Answer in plain text, without Markdown. ' +
  'Answer in Austrian German, unless the user asks for another language.';

const Answer = z.object({ sbp: SbpResponse });

/** What a model that records it is asked while surfaces come and go. */
export function adaptation(server: GetServer, model: () => StrictModel): void {
  /** One turn; gives the system messages that the model was sent, and the session. */
  async function asked(agent: Agent, content: string, more: object = {}) {
    const messages = [SYSTEM, { role: 'user', content }];
    const body = { model: 'strict', messages, sbp: {}, ...more };
    const { status, json, text } = await agent.post(body);
    expect(status, text).toBe(200);
    const { sbp } = Answer.parse(json);
    const roles = model().asked.map(({ role }) => role);
    // They stand before everything else.
    expect(roles.lastIndexOf('system')).toBe(roles.filter((role) => role === 'system').length - 1);
    const told = model().asked.filter(({ role }) => role === 'system');
    return { sbp, told: told.map((message) => message.content), limit: model().limit };
  }

  describe('§6 the answer', () => {
    // [SBP-L4-03] [SBP-L4-04] [SBP-L4-05] [SBP-L4-06]
    it('is adapted to the surface that is attached when the turn starts, and nothing of it is stored', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp, ...first } = await asked(agent, 'Nobody is there.');
      expect(first).toEqual({ told: ['Be brief.'], limit: null });

      const surface = await Surface.attach(url, sbp, { context: SPEAKER });
      const spoken = { told: ['Be brief.', SPOKEN], limit: 50 };
      expect(await asked(agent, 'A speaker is there.')).toMatchObject(spoken);

      surface.attach(sbp, { ui_capabilities: ['markdown'], locale: 'no such tag' });
      await surface.next('SESSION_ATTACHED');
      const reader = { told: ['Be brief.', 'Use no tables and no images.'], limit: null };
      expect(await asked(agent, 'A screen is there.')).toMatchObject(reader);

      surface.attach(sbp, {});
      await surface.next('SESSION_ATTACHED');
      expect(await asked(agent, 'It shows all.')).toMatchObject(first);

      surface.attach(sbp, SPEAKER);
      await surface.next('SESSION_ATTACHED');
      await surface.detach();
      // Read with all that the log has: what has left may count for a moment longer.
      expect(await agent.session(sbp.session_id)).toMatchObject({ surface: null });
      expect(await asked(agent, 'It has left.')).toMatchObject(first);

      const stored = JSON.stringify(await agent.messages(sbp.session_id));
      expect(stored).toContain('It shows all.');
      expect(stored).not.toMatch(/spoken|tables/);
    });

    // [SBP-L4-05]
    it('has the limit of its own request before that of the surface', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await asked(agent, 'Hello.');
      await Surface.attach(url, sbp, { context: { max_output_tokens: 50 } });
      expect(await asked(agent, 'One.', { max_tokens: 7 })).toMatchObject({ limit: 7 });
      const limited = await asked(agent, 'Two.', { max_completion_tokens: 7 });
      expect(limited.limit).toBeNull();
      expect(await asked(agent, 'Three.', { max_tokens: null })).toMatchObject({ limit: 50 });
    });
  });

  describe('§8 a turn that ends with calls of the client’s own tools', () => {
    // [SBP-L2-46]
    it('names them in its TETHER_TURN', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await asked(agent, 'Hello.');
      await (await Surface.attach(url, sbp)).detach();
      const tools = ['a', 'b'].map((name) => ({ type: 'function', function: { name } }));
      await asked(agent, 'call: a-1 b-1 a-2', { tools });
      const surface = await Surface.attach(url, sbp, ACKNOWLEDGES);
      expect(await surface.next('TETHER_TURN')).toMatchObject({ tool_calls: ['a', 'b', 'a'] });
    });
  });
}
