import { describe, expect, it } from 'vitest';
import { Agent, saidIn, steered } from '../clients/agent.js';
import type { Chunk } from '../clients/bodies.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const finishes = ({ choices }: Chunk): boolean =>
  choices.some((choice) => choice.finish_reason !== null);

export function streaming(server: GetServer): void {
  describe('§3 streaming', () => {
    // [SBP-L1-30] [SBP-L1-32]
    it('the head names the session; the chunk with finish_reason brings sbp, and none comes alone', async () => {
      const agent = new Agent(server().url);
      const stream = await (await agent.stream('Hello.')).whole();
      expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
      expect(stream.events.every(({ event }) => event === undefined)).toBe(true);
      expect(stream.events.filter(({ data }) => data === '[DONE]')).toHaveLength(1);
      expect(stream.events.at(-1)?.data).toBe('[DONE]');
      const { chunks } = stream;
      const last = chunks.at(-1);
      expect(last?.sbp).toMatchObject({ step_count: 1, model_routed_to: 'gpt-4o' });
      expect(chunks.filter(({ sbp }) => sbp !== undefined)).toEqual([last]);
      expect(chunks.filter(finishes)).toEqual([last]);
      expect(chunks.filter(({ choices }) => choices.length !== 1)).toEqual([]);
      expect(last?.sbp?.session_id).toBe(stream.headers.get('x-sbp-session-id'));
      expect(last?.sbp?.session_token).toBe(stream.headers.get('x-session-token'));
      const messages = saidIn(await agent.messages(last?.sbp?.session_id ?? ''));
      expect(messages).toEqual(['user: Hello.', `assistant: ${stream.text()}`]);
    });

    // [SBP-L1-34]
    it('no chunk tells of usage where the client did not ask', async () => {
      const stream = await (await new Agent(server().url).stream('Hello.')).whole();
      expect(stream.chunks.filter((chunk) => 'usage' in chunk)).toEqual([]);
    });

    // [SBP-L1-32] [SBP-L1-34]
    it('usage is told where the client asked, behind sbp', async () => {
      const asked = { stream_options: { include_usage: true } };
      const stream = await (await new Agent(server().url).stream('Hello.', {}, asked)).whole();
      const [finish, usage] = stream.chunks.slice(-2);
      expect(finish?.choices[0]?.finish_reason).toBe('stop');
      expect(finish).toMatchObject({ sbp: { step_count: 1 } });
      expect(usage).toMatchObject({
        choices: [],
        usage: { prompt_tokens: 1, completion_tokens: 30 },
      });
      expect(stream.chunks.slice(0, -1).map((chunk) => chunk.usage)).toEqual(
        stream.chunks.slice(0, -1).map(() => null),
      );
    });

    // [SBP-L1-32]
    it('goes out delta by delta while the turn runs', async () => {
      const agent = new Agent(server().url);
      const stream = await agent.stream(steered('interval=100', 'Hello.'));
      await stream.until(({ chunks }) => chunks.length >= 3);
      const session = await agent.session(stream.headers.get('x-sbp-session-id') ?? '');
      expect(session).toMatchObject({ step_count: 0, message_count: 1 });
      expect(session.turn_in_flight).not.toBeNull();
      await stream.whole();
      expect(stream.chunks.at(-1)?.sbp?.turn_id).toBe(session.turn_in_flight);
    });

    // [SBP-L1-32]
    it('the chunk with finish_reason is not seen before the turn is committed', async () => {
      const agent = new Agent(server().url);
      const stream = await agent.stream(steered('interval=10', 'Hello.'));
      await stream.until(({ chunks }) => chunks.some(finishes));
      const session = await agent.session(stream.headers.get('x-sbp-session-id') ?? '');
      expect(session).toMatchObject({ step_count: 1, message_count: 2, turn_in_flight: null });
      await stream.whole();
    });

    // [SBP-L1-26]
    it('of several choices all stream, and the first enters the transcript', async () => {
      const agent = new Agent(server().url);
      const stream = await (
        await agent.stream(steered('tokens=40', 'Hello.'), {}, { n: 2 })
      ).whole();
      expect(stream.text(1)).toContain('(Choice 2)');
      expect(stream.text(0)).not.toContain('(Choice');
      const sessionId = stream.headers.get('x-sbp-session-id') ?? '';
      expect(saidIn(await agent.messages(sessionId)).at(-1)).toBe(`assistant: ${stream.text(0)}`);
      const whole = await agent.turn('Go on.', {}, { n: 2 });
      expect(whole.completion.choices.map(({ index }) => index)).toEqual([0, 1]);
      expect(saidIn(await agent.messages(sessionId)).at(-1)).toBe(
        `assistant: ${whole.completion.choices[0]?.message.content ?? ''}`,
      );
    });

    // [SBP-L1-01]
    it('without a session nothing is added', async () => {
      const stream = await (await new Agent(server().url).stream('Hello.', null)).whole();
      expect(stream.events.at(-1)?.data).toBe('[DONE]');
      expect(stream.chunks.filter((chunk) => 'sbp' in chunk || 'usage' in chunk)).toEqual([]);
      expect(stream.chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
      expect(stream.headers.get('x-session-token')).toBeNull();
      expect(stream.chunks[0]?.demo?.fields).toEqual(['model', 'messages', 'stream']);
    });

    // [SBP-L1-37]
    it('a turn whose caller goes away goes on to its end', async () => {
      const agent = new Agent(server().url);
      const stream = await agent.stream(steered('interval=40', 'Hello.'));
      await stream.until((so) => so.text() !== '');
      await stream.leave();
      const sessionId = stream.headers.get('x-sbp-session-id') ?? '';
      await eventually(async () => {
        expect(await agent.session(sessionId)).toMatchObject({
          step_count: 1,
          turn_in_flight: null,
        });
      });
      const [, answer] = saidIn(await agent.messages(sessionId));
      expect(answer?.split(' ')).toHaveLength(31);
    });
  });
}
