import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Call, CompletionResult, Topology } from '../../tools/chaos/index.js';
import {
  Surface,
  complete,
  readMessages,
  residentBytes,
  startEmbedded,
} from '../../tools/chaos/index.js';

/** Readers at a time. */
const READERS = 8;
/** Words of an answer: as a stream more than the connections of a reader hold. */
const WORDS = 100_000;
const MIB = 1024 * 1024;
/** Words of an answer that a slow reader does not fall too far behind with. */
const FEWER_WORDS = 8_000;
/** As a stream that is what one answer has at least, in bytes. */
const STREAM_BYTES = 20 * MIB;
const PATIENCE_MS = 400_000;
/**
 * The server's own garbage is collected before it is as much as what readers leave, which waits
 * outside of the heap.
 */
const HEAP = { NODE_OPTIONS: '--max-old-space-size=256' };

let dataDir: string;
let topology: Topology;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-slow-'));
  topology = await startEmbedded(dataDir, HEAP);
});

afterAll(async () => {
  await topology.stop();
  await rm(dataDir, { recursive: true, force: true, maxRetries: 10 });
});

/** A huge answer for several callers at once; and the most memory that the server held for it. */
async function stream(
  name: string,
  reading: Call['reading'],
  words = WORDS,
): Promise<{ readonly results: readonly CompletionResult[]; readonly most: number }> {
  const pid = topology.victims[0]?.pid ?? 0;
  let most = 0;
  const sampling = setInterval(() => (most = Math.max(most, residentBytes(pid))), 50);
  const results = await Promise.all(
    Array.from({ length: READERS }, (_, reader) =>
      complete({
        url: topology.url,
        agentId: `${name}-${reader}`,
        session: null,
        message: `Go on.\ndemo: ttft=0 tokens=${words} interval=0 vary`,
        sbp: {},
        key: null,
        retryCount: null,
        stream: true,
        reading,
        vanishAfterMs: null,
      }),
    ),
  );
  clearInterval(sampling);
  return { results, most };
}

describe('answers that are read slowly', () => {
  it(
    'are not kept in memory for callers that stop reading; their turns are owed',
    async () => {
      // Twice, because a process holds more after its first work anyway.
      const first = await stream('first', 'eagerly');
      const eager = await stream('eager', 'eagerly');
      const usual = Math.max(first.most, eager.most);
      // On a busy machine some of these, too, fall too far behind a model that never pauses.
      const read = eager.results.filter(({ outcome }) => outcome.type === 'answered');
      expect(read).not.toEqual([]);
      const stalling = await stream('stalling', 'stalling');
      // Had the server kept what these did not read, it would hold all of it.
      expect(stalling.most).toBeLessThan(usual + (READERS * STREAM_BYTES) / 2);
      for (const { outcome, session } of stalling.results) {
        expect(outcome.type).toBe('broken');
        if (session === null) throw new Error('the answer did not name its session');
        const messages = await readMessages({ url: topology.url, ...session });
        const text = messages?.find(({ role }) => role === 'assistant')?.text ?? '';
        expect(text.split(' ')).toHaveLength(WORDS);
        const surface = await Surface.attach(
          'surface',
          { url: topology.url, ...session },
          { pongAfterMs: 0 },
        );
        if (surface === null) throw new Error('nobody took the connection');
        expect(await surface.until(() => surface.isDrained, PATIENCE_MS)).toBe(true);
        expect(surface.frames).toContainEqual(
          expect.objectContaining({ type: 'TETHER_TURN', content: text, status: 'completed' }),
        );
        await surface.detach();
      }
    },
    PATIENCE_MS,
  );

  it(
    'come in full to callers that read slowly, but always on',
    async () => {
      const { results } = await stream('steady', 'steadily', FEWER_WORDS);
      const texts = results.map(({ outcome }) =>
        outcome.type === 'answered' ? outcome.text.split(' ').length : outcome.type,
      );
      expect(texts).toEqual(Array.from({ length: READERS }, () => FEWER_WORDS));
    },
    PATIENCE_MS,
  );
});
