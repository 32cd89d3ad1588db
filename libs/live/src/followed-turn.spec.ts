import { describe, expect, it } from 'vitest';
import { FollowedTurn } from './followed-turn.js';

const TURN = '4b9dbd8f-6d7c-43dd-8f0c-0e2a8a1d6c11';
const reader = { sessionId: 's', attachId: 'a', replyTo: { slot: 0, incarnation: 'i' } };

function live(offset: number, text: string, epoch = 7, turnId = TURN) {
  const ids = { session_id: 's', turn_id: turnId, attach_id: 'a' };
  return { type: 'live' as const, ...ids, epoch, offset, text };
}

const follow = () => FollowedTurn.follow(TURN, 7, null);

describe('a followed turn', () => {
  it('gives what came as one chunk, without what it had, and asks for what follows', () => {
    const turn = follow();
    expect(turn.accept(live(0, 'Hello'))).toBe('text');
    expect(turn.accept(live(3, 'lo, wor'))).toBe('text');
    expect(turn.takeChunk()).toMatchObject({ delta: 'Hello, wor', offset: 0 });
    expect(turn.takeChunk()).toBeNull();
    expect(turn.watch(reader)).toMatchObject({ turn_id: TURN, epoch: 7, offset: 10 });
  });

  it('says once that text is missing, until its runner answers again', () => {
    const turn = follow();
    expect(turn.accept(live(0, 'a'))).toBe('text');
    expect(turn.accept(live(2, 'c'))).toBe('missing');
    expect(turn.accept(live(3, 'd'))).toBe('nothing');
    expect(turn.answering).toBe(false);
    expect(turn.accept(live(1, 'bcd'))).toBe('text');
    expect(turn.answering).toBe(true);
  });

  it('takes nothing of another turn or an earlier attempt, and no later one before it is folded', () => {
    const turn = follow();
    expect(turn.accept(live(0, 'x', 6))).toBe('nothing');
    expect(turn.accept(live(0, 'x', 8))).toBe('missing');
    expect(turn.accept(live(0, 'x', 7, reader.attachId))).toBe('nothing');
    expect(turn.hasText).toBe(false);
  });

  it('holds half a character back', () => {
    const turn = follow();
    turn.accept(live(0, 'a\ud83d'));
    expect(turn.takeChunk()).toMatchObject({ delta: 'a' });
    expect(turn.hasText).toBe(false);
    turn.accept(live(2, '\udc4b'));
    expect(turn.takeChunk()).toMatchObject({ delta: '👋', offset: 1 });
  });

  it('holds no more than a bound, and asks for the rest', () => {
    const turn = follow();
    expect(turn.accept(live(0, 'x'.repeat(2_000_000)))).toBe('missing');
    expect(turn.watch(reader).offset).toBe(1024 * 1024);
  });

  it('stays the same for the same attempt, and begins anew for another', () => {
    const turn = follow();
    turn.accept(live(0, 'Draft'));
    turn.takeChunk();
    expect(FollowedTurn.follow(TURN, 7, turn)).toBe(turn);
    const next = FollowedTurn.follow(TURN, 8, turn);
    next.accept(live(0, 'New', 8));
    expect(next.takeChunk()).toMatchObject({ offset: 0, replaces: turn.shown.chunkId });
  });
});
