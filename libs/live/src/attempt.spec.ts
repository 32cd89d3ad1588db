import { assert, array, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EndedTurn, ShownAttempt } from './attempt.js';
import { beginAttempt, completion, nextChunk } from './attempt.js';

const TURN = '4b9dbd8f-6d7c-43dd-8f0c-0e2a8a1d6c11';

function owed(fields: Partial<EndedTurn> = {}): EndedTurn {
  return {
    turnId: TURN,
    epoch: 7,
    seq: 3,
    status: 'completed',
    text: 'Hello, world',
    error: null,
    ...fields,
  };
}

function shown(text: string, epoch = 7): ShownAttempt {
  return nextChunk(beginAttempt(TURN, epoch, null), text).attempt;
}

const chunk7 = beginAttempt(TURN, 7, null).chunkId;
const chunk6 = beginAttempt(TURN, 6, null).chunkId;
const complete = { type: 'TURN_COMPLETE', turn_id: TURN, seq: 3, status: 'completed' };

describe('an attempt', () => {
  // [SBP-L2-41]
  it('has the same chunk_id on every replica, and each attempt another', () => {
    expect(chunk7).toBe('e2caf64a-fce8-510f-b17e-5d44b4ab37a4');
    expect(chunk7).not.toBe(chunk6);
  });

  it('counts its offset in code points', () => {
    const first = nextChunk(beginAttempt(TURN, 7, null), 'a👋🏽b');
    expect(first.frame).toMatchObject({ offset: 0, delta: 'a👋🏽b' });
    expect(nextChunk(first.attempt, 'c').frame).toMatchObject({ offset: 4 });
  });

  // [SBP-L2-42]
  it('names in its first chunk, and only there, what it replaces', () => {
    const second = nextChunk(beginAttempt(TURN, 7, shown('abc', 6)), 'x');
    expect(second.frame).toMatchObject({ chunk_id: chunk7, replaces: chunk6, offset: 0 });
    expect(nextChunk(second.attempt, 'y').frame).not.toHaveProperty('replaces');
  });

  it('replaces the last one that was shown, not one of which nothing was', () => {
    const unseen = beginAttempt(TURN, 6, shown('abc', 5));
    expect(beginAttempt(TURN, 7, unseen).replaces).toBe(beginAttempt(TURN, 5, null).chunkId);
    expect(beginAttempt(TURN, 7, beginAttempt(TURN, 6, null)).replaces).toBeNull();
  });
});

describe('the end of a turn', () => {
  it('brings the missing rest of what was shown', () => {
    expect(completion(shown('Hello'), owed())).toEqual([
      { type: 'TURN_CHUNK', chunk_id: chunk7, turn_id: TURN, delta: ', world', offset: 5 },
      { ...complete, chunk_id: chunk7 },
    ]);
  });

  it('brings no text where all was shown', () => {
    expect(completion(shown('Hello, world'), owed())).toEqual([{ ...complete, chunk_id: chunk7 }]);
  });

  it('brings all of a turn that was not seen live', () => {
    expect(completion(null, owed())).toMatchObject([
      { type: 'TURN_CHUNK', chunk_id: chunk7, delta: 'Hello, world', offset: 0 },
      { type: 'TURN_COMPLETE' },
    ]);
    expect(completion(null, owed({ text: '' }))).toMatchObject([
      { type: 'TURN_COMPLETE', chunk_id: chunk7 },
    ]);
  });

  it('brings all of it anew where another attempt was shown', () => {
    expect(completion(shown('Good d', 6), owed())).toMatchObject([
      { type: 'TURN_CHUNK', chunk_id: chunk7, delta: 'Hello, world', offset: 0, replaces: chunk6 },
      { type: 'TURN_COMPLETE', chunk_id: chunk7 },
    ]);
  });

  it('brings all of it as a new attempt where what was shown is not its beginning', () => {
    const [first, second] = completion(shown('Help'), owed());
    expect(first).toMatchObject({
      type: 'TURN_CHUNK',
      delta: 'Hello, world',
      offset: 0,
      replaces: chunk7,
    });
    expect(first?.chunk_id).not.toBe(chunk7);
    expect(second).toMatchObject({ type: 'TURN_COMPLETE', chunk_id: first?.chunk_id });
  });

  it('says of a failed turn why, and leaves what was shown unfinished', () => {
    const error = { code: 'SBP_UPSTREAM_UNAVAILABLE', message: 'gone' };
    const failed = owed({ status: 'failed', text: '', error });
    expect(completion(shown('Hello'), failed)).toEqual([
      { ...complete, chunk_id: chunk7, status: 'failed', error },
    ]);
    expect(completion(shown('Hello', 6), failed)).toMatchObject([
      { type: 'TURN_CHUNK', chunk_id: chunk7, delta: '', replaces: chunk6 },
      { type: 'TURN_COMPLETE', chunk_id: chunk7, status: 'failed' },
    ]);
  });

  // [SBP-L2-43]
  it('makes the deltas of the completed attempt, joined, its text: whatever was shown', () => {
    const piece = string({ unit: 'binary', maxLength: 5 });
    assert(
      property(array(piece), constantFrom(6, 7), array(piece), (pieces, epoch, committed) => {
        let attempt = beginAttempt(TURN, epoch, null);
        const frames = pieces.map((delta) => {
          const next = nextChunk(attempt, delta);
          attempt = next.attempt;
          return next.frame;
        });
        const text = committed.join('');
        frames.push(...completion(attempt, owed({ text })));
        const last = frames.at(-1);
        expect(last?.type).toBe('TURN_COMPLETE');
        let joined = '';
        for (const frame of frames) {
          if (frame.type !== 'TURN_CHUNK' || frame.chunk_id !== last?.chunk_id) continue;
          expect(frame.offset).toBe(Array.from(joined).length);
          joined += frame.delta;
        }
        expect(joined).toBe(text);
      }),
    );
  });
});
