import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageBytes } from '#libs/domain';
import { user } from '#libs/domain/testing';
import { CachedTranscripts } from './cached-transcripts.js';
import { StoredTurn, emptyTranscript } from './transcript.js';
import type { Transcript } from './transcript.js';

/** Bytes of a message that says nothing. */
const EMPTY = messageBytes([user('')]);

function turn(firstIndex: number, text: string): StoredTurn {
  return StoredTurn.of(firstIndex, 'answered', [user(text)]);
}

/** A conversation of one message, of so many bytes. */
function transcript(bytes: number, turns = 1): Transcript {
  const made = emptyTranscript.extended([turn(0, 'x'.repeat(bytes - EMPTY))], turns);
  if (made === null) throw new Error('it follows nothing');
  return made;
}

describe('cached transcripts', () => {
  it('are kept until there are more bytes than may be kept; the one read longest ago goes', () => {
    const cache = new CachedTranscripts(100);
    for (const name of ['a', 'b', 'c']) cache.set(name, transcript(30));
    expect(cache.get('a')?.bytes).toBe(30);
    cache.set('d', transcript(30));
    expect(['a', 'b', 'c', 'd'].map((name) => cache.get(name)?.bytes)).toEqual([
      ...[30, undefined, 30, 30],
    ]);
  });

  it('never are more than the limit, whatever comes', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      bytes: fc.integer({ min: EMPTY, max: 120 }),
      turns: fc.integer({ min: 1, max: 5 }),
      isRead: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const cache = new CachedTranscripts(100);
        for (const { name, bytes, turns, isRead } of steps) {
          if (isRead) cache.get(name);
          else cache.set(name, transcript(bytes, turns));
          const kept = ['a', 'b', 'c', 'd', 'e', 'f'].map((each) => cache.get(each)?.bytes ?? 0);
          expect(kept.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(100);
        }
      }),
    );
  });

  it('are not kept where one alone is over the limit, and throw nothing else out', () => {
    const cache = new CachedTranscripts(100);
    cache.set('a', transcript(60));
    cache.set('b', transcript(101));
    expect([cache.get('a')?.bytes, cache.get('b')]).toEqual([60, null]);
  });

  it('are replaced by newer ones, never by older ones', () => {
    const cache = new CachedTranscripts(100);
    cache.set('a', transcript(30, 2));
    cache.set('a', transcript(40, 1));
    expect(cache.get('a')?.turns).toBe(2);
    cache.set('a', transcript(90, 3));
    expect(cache.get('a')?.turns).toBe(3);
    cache.set('b', transcript(30));
    expect(cache.get('a')).toBeNull();
  });
});

describe('a transcript', () => {
  it('shares its beginning with what it is extended to, and does not change', () => {
    const first = transcript(30);
    const second = first.extended([turn(1, 'y')], 2);
    expect([first.count, second?.count, second?.bytes]).toEqual([1, 2, 31 + EMPTY]);
  });

  it('knows of turns that brought nothing', () => {
    const extended = transcript(30).extended([], 4);
    expect([extended?.turns, extended?.count]).toEqual([4, 1]);
  });

  it('is not extended by a turn that cut it', () => {
    expect(transcript(30).extended([turn(0, 'y')], 2)).toBeNull();
  });
});
