import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Agent, saidIn, steered } from '../clients/agent.js';
import { BreakingRelay } from '../clients/breaking-relay.js';
import { inBrowser } from '../clients/browser.js';
import type { GetServer } from '../topology/server.js';

/** Only stops what hangs: a browser takes its time to start beside other tests. */
const DEADLINE = { timeout: 180_000 };
/** Takes four seconds. */
const STEADY = 'ttft=0 tokens=40 interval=100';

export function browser(server: GetServer): void {
  describe('in Chromium, a page of another port', () => {
    // [SBP-SEC-07] [SBP-SEC-08]
    it('uses the official client: plain, streamed, with headers and errors', DEADLINE, async () => {
      const { id, url } = new Agent(server().url);
      const told = await inBrowser('client', { url, agent: id });
      const { session_id, plain, streamed, isNotFound } = z
        .object({
          session_id: z.uuid(),
          plain: z.string(),
          streamed: z.string(),
          isNotFound: z.boolean(),
        })
        .parse(told);
      expect(isNotFound).toBe(true);
      expect(saidIn(await new Agent(url).messages(session_id))).toEqual([
        ...['user: Hello.', `assistant: ${plain}`],
        ...['user: Go on.', `assistant: ${streamed}`],
      ]);
    });

    // [SBP-SEC-07] [SBP-L3-14]
    it(
      'reads a turn by EventSource, which connects again by itself: nothing is missing, nothing comes twice',
      DEADLINE,
      async () => {
        const { id, url } = new Agent(server().url);
        await using relay = await BreakingRelay.before(url, 'LLM');
        const content = steered(STEADY, 'Take your time.');
        const order = { url, relay: relay.url, agent: id, content };
        const { session_id, streamed, read, opened } = z
          .object({ session_id: z.uuid(), streamed: z.string(), read: z.string(), opened: z.int() })
          .parse(await inBrowser('eventSource', order));
        expect(opened).toBe(2);
        expect(read).toBe(streamed);
        expect(saidIn(await new Agent(url).messages(session_id))[1]).toBe(`assistant: ${read}`);
      },
    );
  });
}
