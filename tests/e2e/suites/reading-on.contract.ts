import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Agent, request, steered } from '../clients/agent.js';
import { Failure } from '../clients/bodies.js';
import { CompletionStream } from '../clients/completion-stream.js';
import type { GetServer } from '../topology/server.js';

/** Takes two seconds. */
const STEADY = 'ttft=0 tokens=20 interval=100';

interface TurnKey {
  readonly session_id: string;
  readonly turn_id: string;
}

export function readingOn(server: GetServer): void {
  const pathOf = ({ session_id, turn_id }: TurnKey): string =>
    `/v1/sbp/sessions/${session_id}/turns/${turn_id}/stream`;

  async function read(url: string, key: TurnKey, lastId?: string): Promise<CompletionStream> {
    const abort = new AbortController();
    const response = await fetch(`${url}${pathOf(key)}`, {
      headers: lastId === undefined ? {} : { 'last-event-id': lastId },
      signal: abort.signal,
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    return new CompletionStream(response, abort);
  }

  /** A streamed turn of which something has come. */
  async function running(how = STEADY) {
    const { url, replicas } = server();
    const agent = new Agent(url);
    const { sbp } = await agent.turn('Hello.');
    const own = await agent.at(replicas('completions').first).stream(steered(how, 'Go on.'));
    await own.until(({ chunks }) => chunks.length > 2);
    const session = await agent.session(sbp.session_id);
    const key = { session_id: sbp.session_id, turn_id: session.turn_in_flight ?? '' };
    return { agent, own, key, other: replicas('completions').second };
  }

  const idsOf = ({ events }: CompletionStream): readonly string[] =>
    events.flatMap(({ id }) => (id === undefined ? [] : [id]));

  describe('§5 a turn is read on', () => {
    // [SBP-L3-13]
    it('while it runs, from its beginning, at any replica: the same text and the same ids', async () => {
      const { own, key, other } = await running();
      const reader = await (await read(other, key)).whole();
      await own.whole();
      expect(reader.text()).toBe(own.text());
      expect(reader.events.at(-1)?.data).toBe('[DONE]');
      expect(reader.chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
      const known = new Set(idsOf(own));
      expect(known.size).toBeGreaterThan(10);
      expect(idsOf(reader).filter((id) => !known.has(id))).toEqual([]);
      expect(idsOf(reader).at(-1)).toBe(idsOf(own).at(-1));
    });

    // [SBP-L3-14]
    it('behind the last event that a reader has: nothing is missing, and nothing comes twice', async () => {
      const { own, key, other } = await running();
      const first = await read(other, key);
      await first.until(({ chunks }) => chunks.length > 2);
      await first.leave();
      const had = first.text();
      const lastId = idsOf(first).at(-1);
      const rest = await (await read(other, key, lastId)).whole();
      await own.whole();
      expect(had + rest.text()).toBe(own.text());
      // And again when it has ended: only what was missing, and its end.
      const again = await (await read(other, key, lastId)).whole();
      expect(again.text()).toBe(rest.text());
      const end = await (await read(other, key, idsOf(rest).at(-1))).whole();
      expect(end.text()).toBe('');
      expect(end.events.at(-1)?.data).toBe('[DONE]');
    });

    // [SBP-L3-14]
    it('by a caller whose own stream broke', async () => {
      const { own, key, other } = await running();
      await own.leave();
      const rest = await (await read(other, key, idsOf(own).at(-1))).whole();
      const whole = await (await read(other, key)).whole();
      expect(own.text() + rest.text()).toBe(whole.text());
    });

    // [SBP-L3-15]
    it('from its beginning, behind a reset, where the reader has another attempt', async () => {
      const { own, key, other } = await running();
      const reader = await (await read(other, key, `${randomUUID()}:3`)).whole();
      await own.whole();
      expect(reader.events[0]?.event).toBe('reset');
      expect(reader.text()).toBe(own.text());
    });

    it('that is stopped: an error, and a stream that breaks off', async () => {
      const { agent, key, other } = await running('ttft=0 tokens=60 interval=500');
      const reader = await read(other, key);
      await reader.until(({ chunks }) => chunks.length > 0);
      const { status } = await request(`${agent.url}/v1/sbp/sessions/${key.session_id}/cancel`, {
        method: 'POST',
      });
      expect(status).toBe(202);
      expect(await reader.ended).toBe('broken');
      const error = reader.events.find(({ event }) => event === 'error');
      expect(Failure.parse(JSON.parse(error?.data ?? 'null')).error.code).toBe(
        'SBP_TURN_CANCELLED',
      );
    });

    it('that was answered long ago, whole', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp, completion } = await agent.turn('Hello.');
      const reader = await (await read(url, sbp)).whole();
      expect(reader.text()).toBe(completion.choices[0]?.message.content);
    });

    it('by many at once', async () => {
      const { own, key, other } = await running();
      const readers = await Promise.all(Array.from({ length: 20 }, () => read(other, key)));
      await own.whole();
      for (const reader of readers) expect((await reader.whole()).text()).toBe(own.text());
    });

    it('is 404 for no turn, 403 for another session’s token, and 422 for ids that are none', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const { sbp: other } = await new Agent(url).turn('Hello.');
      const status = async (path: string, headers: Record<string, string> = {}) =>
        (await request(`${url}${path}`, { headers })).status;
      expect(await status(pathOf({ ...sbp, turn_id: randomUUID() }))).toBe(404);
      expect(await status(pathOf({ ...sbp, turn_id: 'x' }))).toBe(422);
      expect(await status(pathOf(sbp), { 'x-session-token': other.session_token })).toBe(403);
      for (const id of [
        'x',
        '1:2',
        `${sbp.turn_id}:-1`,
        `${sbp.turn_id}:x`,
        'é:1',
        ':'.repeat(5000),
      ]) {
        expect(await status(pathOf(sbp), { 'last-event-id': encodeURI(id) })).toBe(422);
      }
    });
  });
}
