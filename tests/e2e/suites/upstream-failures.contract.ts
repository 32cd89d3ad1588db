import { describe, expect, it } from 'vitest';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import type { GetServer } from '../topology/server.js';

const SBP = [
  ['in a session', {}],
  ['without one', null],
] as const;

export function upstreamFailures(server: GetServer): void {
  describe('§3 when the model fails', () => {
    for (const [where, sbp] of SBP) {
      const body = (how: string, stream: boolean) => ({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: steered(`fail=${how}`, 'Hello.') }],
        stream,
        ...(sbp === null ? {} : { sbp }),
      });

      // [SBP-L1-05]
      it.for([
        [400, false],
        [401, false],
        [404, true],
        [429, false],
        [429, true],
        [500, true],
        [503, false],
      ] as const)(
        `its status %d and its body are the answer ${where} (stream: %s)`,
        async ([status, stream]) => {
          const answer = await new Agent(server().url).post(body(`status:${status}`, stream));
          expect(answer.status).toBe(status);
          expect(Failure.parse(answer.json).error.message).toBe(
            `The demo model answers ${status}, as it was told to.`,
          );
          expect(answer.headers.get('retry-after')).toBe(status === 429 ? '1' : null);
        },
      );

      // [SBP-L1-06]
      it.for([false, true])(`a failed connection is 503 ${where} (stream: %s)`, async (stream) => {
        const { status, json } = await new Agent(server().url).post(body('refuse', stream));
        expect(status).toBe(503);
        expect(json).toMatchObject({
          error: { code: 'SBP_UPSTREAM_UNAVAILABLE', type: 'api_error' },
        });
      });

      // [SBP-L1-33]
      it(`a stream that breaks off is broken off ${where}, never ended`, async () => {
        const stream = await new Agent(server().url).stream(steered('fail=break:3', 'Hello.'), sbp);
        expect(await stream.ended).toBe('broken');
        const { events } = stream;
        expect(events.filter(({ data }) => data === '[DONE]')).toEqual([]);
        const said = events.filter(({ event }) => event === undefined);
        expect(said.map(({ data }) => data).join('')).not.toContain('"finish_reason":"');
        expect(said.length).toBeGreaterThanOrEqual(3);
      });
    }

    // [SBP-L1-33]
    it('a stream that breaks off in a session tells of it by an error event, the last thing said', async () => {
      const stream = await new Agent(server().url).stream(steered('fail=break:3', 'Hello.'));
      expect(await stream.ended).toBe('broken');
      expect(
        stream.events.map(({ event }) => event).filter((event) => event !== undefined),
      ).toEqual(['error']);
      expect(stream.events.at(-1)?.event).toBe('error');
      const { error } = Failure.parse(JSON.parse(stream.events.at(-1)?.data ?? ''));
      expect(error).toMatchObject({ code: 'SBP_UPSTREAM_UNAVAILABLE', type: 'api_error' });
      expect(stream.text().split(' ')).toHaveLength(3);
    });

    it('an answer that breaks off before its end is 503', async () => {
      const messages = [{ role: 'user', content: steered('fail=break:3', 'Hello.') }];
      const { status, json } = await new Agent(server().url).post({
        model: 'gpt-4o',
        messages,
        sbp: {},
      });
      expect(status).toBe(503);
      expect(json).toMatchObject({ error: { code: 'SBP_UPSTREAM_UNAVAILABLE' } });
    });

    // [SBP-L1-25] [SBP-L1-36]
    it.for(['status:500', 'refuse', 'break:2'])(
      'by %s the turn ends, and what the user said is not lost',
      async (how) => {
        const agent = new Agent(server().url);
        const { sbp } = await agent.turn('One.');
        const said = steered(`fail=${how}`, 'Two.');
        const messages = [{ role: 'user', content: said }];
        expect(
          (await agent.post({ model: 'gpt-4o', messages, sbp: {} })).status,
        ).toBeGreaterThanOrEqual(500);
        const stream = await agent.stream('Three.');
        await stream.whole();
        expect(await agent.session(sbp.session_id)).toMatchObject({
          step_count: 2,
          turn_in_flight: null,
        });
        expect(saidIn(await agent.messages(sbp.session_id)).slice(2)).toEqual([
          `user: ${said}`,
          'user: Three.',
          `assistant: ${stream.text()}`,
        ]);
      },
    );
  });
}
