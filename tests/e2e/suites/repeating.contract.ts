import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SbpAccepted, TurnsResponse } from '#libs/protocol';
import { Agent, steered } from '../clients/agent.js';
import { Completion, Failure } from '../clients/bodies.js';
import type { CompletionStream } from '../clients/completion-stream.js';
import { Surface } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

const STEADY = 'ttft=0 tokens=20 interval=100';

export function repeating(server: GetServer): void {
  const keyed = (key = randomUUID()) => ({ headers: { 'idempotency-key': key } });
  const counted = (count: number) => ({ headers: { 'x-stainless-retry-count': String(count) } });

  async function turnsOf(agent: Agent, sessionId: string) {
    const { json } = await agent.get(`sessions/${sessionId}/turns?limit=100`);
    return TurnsResponse.parse(json).turns;
  }

  const turnIdOf = ({ chunks }: CompletionStream) => chunks.at(-1)?.sbp?.turn_id;

  // [SBP-L1-64]
  describe('§3 a request with a key', () => {
    it('is run once, whoever repeats it and where, whole and streamed', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const { first, second } = replicas('completions');
      const key = keyed();
      const own = agent.at(first).stream(steered(STEADY, 'Once.'), {}, key);
      const repeats = Array.from({ length: 8 }, (_, at) =>
        agent.at(at % 2 === 0 ? first : second).stream(steered(STEADY, 'Once.'), {}, key),
      );
      const streams = await Promise.all(
        [own, ...repeats].map(async (opened) => (await opened).whole()),
      );
      const text = streams[0]?.text() ?? '';
      expect(text.split(' ')).toHaveLength(20);
      for (const stream of streams) {
        expect(stream.text()).toBe(text);
        expect(stream.events.at(-1)?.data).toBe('[DONE]');
        expect(stream.chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
      }
      expect(new Set(streams.map(turnIdOf)).size).toBe(1);
      // And long after.
      const late = await (await agent.at(second).stream(steered(STEADY, 'Once.'), {}, key)).whole();
      expect([late.text(), turnIdOf(late)]).toEqual([text, turnIdOf(streams[0] ?? late)]);
      const sessionId = late.headers.get('x-sbp-session-id') ?? '';
      expect(await turnsOf(agent, sessionId)).toHaveLength(1);
      expect(await agent.messages(sessionId)).toHaveLength(2);
    });

    it('gives the same completion again, with its usage and checkpoint', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const key = keyed();
      const { completion, sbp } = await agent.turn('Once.', {}, key);
      const again = await agent.at(replicas('completions').second).turn('Once.', {}, key);
      const [one, two] = [completion, again.completion].map(({ choices }) => choices[0]);
      expect(two?.message.content).toBe(one?.message.content);
      expect([two?.finish_reason, two?.index]).toEqual([one?.finish_reason, one?.index]);
      expect(again.completion.usage).toEqual(completion.usage);
      expect(again.sbp).toMatchObject({ ...sbp, session_token: again.sbp.session_token });
    });

    it('waits with the turn that it joins', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const session = { session_id: sbp.session_id };
      const long = agent.turn(steered('ttft=2000', 'Long.'), session);
      await eventually(async () => {
        expect((await agent.session(sbp.session_id)).turn_in_flight).not.toBeNull();
      });
      const key = keyed();
      const doors = Object.values(replicas('completions'));
      const turns = await Promise.all(
        Array.from({ length: 6 }, (_, at) =>
          agent.at(doors[at % doors.length] ?? url).turn('Meanwhile.', session, key),
        ),
      );
      await long;
      expect(new Set(turns.map((turn) => turn.sbp.turn_id)).size).toBe(1);
      expect(await turnsOf(agent, sbp.session_id)).toHaveLength(3);
    });

    it('leaves the turn owed to the surface that was away', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      await (await Surface.attach(url, sbp)).detach();
      const key = keyed();
      const stream = await agent.stream(steered(STEADY, 'Go on.'), {}, key);
      await stream.until(({ chunks }) => chunks.length > 0);
      await stream.leave();
      const again = await (await agent.stream(steered(STEADY, 'Go on.'), {}, key)).whole();
      const surface = await Surface.attach(url, sbp);
      expect(surface.attached.queued_turns).toBe(1);
      expect(await surface.next('TETHER_TURN')).toMatchObject({ turn_id: turnIdOf(again) });
    });

    it('in the background names the same turn', async () => {
      const agent = new Agent(server().url);
      const key = keyed().headers;
      const body = {
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'Once.' }],
        sbp: { background: true },
      };
      const answers = [await agent.post(body, key), await agent.post(body, key)];
      const turns = answers.map(({ status, json }) => {
        expect(status).toBe(202);
        return SbpAccepted.parse((json as { readonly sbp: unknown }).sbp).turn_id;
      });
      expect(turns[0]).toBe(turns[1]);
    });

    // [SBP-L1-45]
    it('is refused with another body, and where it is too long', async () => {
      const agent = new Agent(server().url);
      const key = keyed();
      await agent.turn('Once.', {}, key);
      const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Twice.' }], sbp: {} };
      const other = await agent.post(body, key.headers);
      expect([other.status, Failure.parse(other.json).error.code]).toEqual([
        422,
        'SBP_INVALID_REQUEST',
      ]);
      const long = await agent.post(body, { 'idempotency-key': 'k'.repeat(10_000) });
      expect(long.status).toBe(400);
      expect(Failure.parse(long.json).error.message).toContain('Idempotency-Key');
      expect((await agent.post(body, { 'idempotency-key': 'k'.repeat(255) })).status).toBe(200);
    });
  });

  // [SBP-L1-79]
  describe('§3 a client that repeats by itself', () => {
    it('gets the answer of the turn that its broken connection began', async () => {
      const { url, replicas } = server();
      const agent = new Agent(url);
      const { first, second } = replicas('completions');
      const said = steered(STEADY, 'Do not lose me.');
      const stream = await agent.at(first).stream(said, {}, counted(0));
      await stream.until(({ chunks }) => chunks.length > 2);
      const had = stream.text();
      await stream.leave();
      const again = await (await agent.at(second).stream(said, {}, counted(1))).whole();
      expect(again.text().startsWith(had)).toBe(true);
      expect(again.text().split(' ')).toHaveLength(20);
      const sessionId = again.headers.get('x-sbp-session-id') ?? '';
      expect(await turnsOf(agent, sessionId)).toHaveLength(1);
    });

    it('asks anew where it had its answer', async () => {
      const agent = new Agent(server().url);
      const { sbp } = await agent.turn('Hello.', {}, counted(0));
      await eventually(async () => {
        const next = await agent.post(
          { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hello.' }], sbp: {} },
          counted(1).headers,
        );
        expect(Completion.parse(next.json).sbp?.turn_id).not.toBe(sbp.turn_id);
      });
    });
  });
}
