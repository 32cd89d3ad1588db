import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TurnOutcome } from '#libs/domain';
import { sentMessages } from '#libs/domain';
import { assistant, user } from '#libs/domain/testing';
import type { Message } from '#libs/protocol';
import { StoredTurn, emptyTranscript } from './transcript.js';
import type { Transcript } from './transcript.js';

const calls = (...ids: readonly string[]): Message => ({
  role: 'assistant',
  content: null,
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: id, arguments: '{}' } })),
});
const tool = (tool_call_id: string): Message => ({ role: 'tool', tool_call_id, content: 'done' });
const [q, a, image] = [user('q'), assistant('a'), user('image')];

interface Part {
  readonly outcome: TurnOutcome;
  readonly messages: readonly Message[];
}
const answered = (...messages: readonly Message[]): Part => ({ outcome: 'answered', messages });
const refused = (...messages: readonly Message[]): Part => ({ outcome: 'refused', messages });

function stored(parts: readonly Part[], from: Transcript = emptyTranscript): Transcript {
  let next = from.count;
  const turns = parts.map(({ outcome, messages }) => {
    const turn = StoredTurn.of(next, outcome, messages);
    next += messages.length;
    return turn;
  });
  const made = from.extended(turns, from.turns + turns.length);
  if (made === null) throw new Error('it does not follow');
  return made;
}

function sent(transcript: Transcript, following: readonly Message[] = [], count?: number): unknown {
  const pieces = transcript.sent(count ?? transcript.count, following);
  return JSON.parse(`[${pieces.map(String).join(',')}]`);
}

// [SBP-L1-28]
describe('messages that the model refused', () => {
  it('are left out of what it is sent, and stay in the transcript', () => {
    const transcript = stored([answered(q, a), refused(image)]);
    expect(sent(transcript, [q])).toEqual([q, a, q]);
    expect(transcript.messages()).toEqual([q, a, image]);
    expect(sent(stored([answered(q, a)], transcript))).toEqual([q, a, q, a]);
  });

  it('are sent where they are sent again', () => {
    expect(sent(stored([answered(q, a), refused(image)]), [image], 2)).toEqual([q, a, image]);
  });

  it('take their answers to calls with them, and so the calls', () => {
    const transcript = stored([answered(q, calls('c')), refused(tool('c'))]);
    expect(sent(transcript, [q])).toEqual([q, q]);
  });
});

// [SBP-L1-29]
describe('tool calls that nobody answered', () => {
  it('are left out once a user goes on, and not before', () => {
    const transcript = stored([answered(q, calls('c', 'd'))]);
    expect(sent(transcript, [tool('c'), tool('d')])).toEqual([
      ...[q, calls('c', 'd'), tool('c'), tool('d')],
    ]);
    expect(sent(transcript, [tool('c'), q])).toEqual([q, calls('c'), tool('c'), q]);
    expect(sent(transcript, [q])).toEqual([q, q]);
    expect(sent(stored([answered(q, a)], transcript), [q])).toEqual([q, q, a, q]);
  });

  it('are sent with their answers though a turn between them failed', () => {
    const transcript = stored([answered(q, calls('c')), { outcome: 'unanswered', messages: [q] }]);
    expect(sent(transcript, [tool('c')])).toEqual([q, calls('c'), tool('c'), q]);
    expect(sent(transcript, [image])).toEqual([q, q, image]);
  });

  it('take answers with them that come too late, but not out of sight of whoever sends one', () => {
    const transcript = stored([answered(q, calls('c')), answered(q, a)]);
    expect(sent(transcript, [tool('c')])).toEqual([q, q, a, tool('c')]);
    const late = stored([{ outcome: 'unanswered', messages: [tool('c')] }], transcript);
    expect(sent(late, [q])).toEqual([q, q, a, q]);
  });

  it('are left out of what an edit keeps', () => {
    const transcript = stored([answered(q, calls('c')), answered(q, a), answered(q, a)]);
    expect(sent(transcript, [image], 4)).toEqual([q, q, a, image]);
  });
});

describe('what a model is sent', () => {
  const id = fc.constantFrom('c', 'd');
  const message = fc.oneof(
    fc.constantFrom(q, a),
    fc.uniqueArray(id, { minLength: 1 }).map((ids) => calls(...ids)),
    id.map(tool),
  );
  const part = fc.record({
    outcome: fc.constantFrom<TurnOutcome>('answered', 'answered', 'unanswered', 'refused'),
    messages: fc.array(message, { minLength: 1, maxLength: 3 }),
  });

  // [SBP-L1-28] [SBP-L1-29]
  it('is the same however the transcript grew', () => {
    const parts = fc.array(part, { minLength: 60, maxLength: 200, size: 'max' });
    const following = fc.array(message, { maxLength: 3 });
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 40 }), following, (all, step, next) => {
        let grown: Transcript = emptyTranscript;
        for (let at = 0; at < all.length; at += step) {
          grown = stored(all.slice(at, at + step), grown);
        }
        expect(sent(grown, next)).toEqual(naive(all, next));
        expect(grown.messages()).toEqual(all.flatMap(({ messages }) => messages));
      }),
    );
  });
});

/** All at once. */
function naive(parts: readonly Part[], following: readonly Message[]): unknown {
  const kept = parts.flatMap((each) => (each.outcome === 'refused' ? [] : each.messages));
  const messages = [...kept, ...following];
  const { sent } = sentMessages(messages, kept.length);
  return sent.map((each) => (typeof each === 'number' ? messages[each] : each));
}
