import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Acknowledgement, AcknowledgementInput } from './acknowledgement.js';
import { acknowledgeInput, beginAcknowledgement, needsPing } from './acknowledgement.js';

const written = (seq: number): AcknowledgementInput => ({ type: 'written', seq });
const pinged: AcknowledgementInput = { type: 'pinged' };
const pong: AcknowledgementInput = { type: 'pong' };
const libraryPong: AcknowledgementInput = { type: 'library-pong' };
const stayed: AcknowledgementInput = { type: 'stayed' };
const closedCleanly: AcknowledgementInput = { type: 'closed-cleanly' };

function after(
  inputs: readonly AcknowledgementInput[],
  { cursor = 0, acknowledges = false } = {},
): Acknowledgement {
  return inputs.reduce(acknowledgeInput, beginAcknowledgement(cursor, acknowledges));
}

// [SBP-L2-31] [SBP-L2-32]
describe('a PONG', () => {
  it('acknowledges what was written before its PING', () => {
    expect(after([written(1), written(2), pinged, pong])).toMatchObject({
      acknowledged: 2,
      ping: { type: 'none' },
    });
  });

  it('never acknowledges what was written after its PING', () => {
    const state = after([written(1), pinged, written(2), pong]);
    expect(state.acknowledged).toBe(1);
    expect(needsPing(state)).toBe(true);
    expect(after([written(1), pinged, written(2), pong, pinged, pong]).acknowledged).toBe(2);
  });

  it('with no PING outstanding is ignored', () => {
    expect(after([written(3), pong]).acknowledged).toBe(0);
    expect(after([written(1), pinged, pong, written(2), pong, pong])).toMatchObject({
      acknowledged: 1,
    });
  });

  it('to a keepalive, with nothing written, acknowledges nothing new', () => {
    expect(after([pinged, pong], { cursor: 4 }).acknowledged).toBe(4);
  });
});

describe('PING', () => {
  it('is due where something was written that none covers', () => {
    expect(needsPing(after([]))).toBe(false);
    expect(needsPing(after([], { cursor: 7 }))).toBe(false);
    expect(needsPing(after([written(1)]))).toBe(true);
    expect(needsPing(after([written(1), pinged, pong]))).toBe(false);
  });

  it('is outstanding at most once: a second one neither goes out nor moves the horizon', () => {
    const state = after([written(1), pinged, written(2), pinged]);
    expect(needsPing(state)).toBe(false);
    expect(acknowledgeInput(state, pong).acknowledged).toBe(1);
  });
});

// [SBP-L2-34]
describe('the pong of a client’s library', () => {
  it('alone acknowledges nothing: its code has not read anything yet', () => {
    expect(after([written(1), pinged, libraryPong]).acknowledged).toBe(0);
  });

  it.each([stayed, closedCleanly])('stands in when the client then $type', (proof) => {
    expect(after([written(1), pinged, libraryPong, proof])).toMatchObject({
      acknowledged: 1,
      ping: { type: 'none' },
    });
  });

  it.each([stayed, closedCleanly])(
    'stands in for nothing where there was none before the client $type',
    (proof) => {
      expect(after([written(1), pinged, proof]).acknowledged).toBe(0);
      expect(after([written(1), libraryPong, pinged, proof]).acknowledged).toBe(0);
      expect(after([written(1), libraryPong, proof]).acknowledged).toBe(0);
    },
  );

  it('covers only what was written before the PING', () => {
    expect(after([written(1), pinged, written(2), libraryPong, stayed]).acknowledged).toBe(1);
  });

  it('does not stand in for a client that says it acknowledges', () => {
    const state = after([written(1), pinged, libraryPong, stayed, closedCleanly], {
      acknowledges: true,
    });
    expect(state.acknowledged).toBe(0);
    expect(acknowledgeInput(state, pong).acknowledged).toBe(1);
  });

  it('does not stand in any more once the client has sent a PONG itself, even an ignored one', () => {
    const proofs = [written(2), pinged, libraryPong, stayed, closedCleanly];
    expect(after([written(1), pinged, pong, ...proofs]).acknowledged).toBe(1);
    expect(after([pong, ...proofs]).acknowledged).toBe(0);
  });
});

// [SBP-L2-32]
describe('a PONG that comes after the library’s pong stood in for it', () => {
  const stoodIn = [written(1), pinged, libraryPong, stayed];

  it('does not count for the next PING', () => {
    const state = after([...stoodIn, written(2), pinged, pong]);
    expect(state).toMatchObject({ acknowledged: 1, ping: { type: 'outstanding', horizon: 2 } });
    expect(acknowledgeInput(state, pong)).toMatchObject({
      acknowledged: 2,
      ping: { type: 'none' },
    });
  });

  it('does not count for the next PING when it comes before that one', () => {
    expect(after([...stoodIn, pong, written(2), pinged, pong]).acknowledged).toBe(2);
  });

  it('answers the oldest of several PINGs that have no PONG yet', () => {
    const again = [written(2), pinged, libraryPong, stayed, written(3), pinged];
    expect(after([...stoodIn, ...again, pong, pong]).acknowledged).toBe(2);
    expect(after([...stoodIn, ...again, pong, pong, pong]).acknowledged).toBe(3);
  });
});

describe('closing', () => {
  it('by itself acknowledges nothing', () => {
    expect(after([written(1), closedCleanly]).acknowledged).toBe(0);
    expect(after([written(1), pinged, closedCleanly]).acknowledged).toBe(0);
  });
});

describe('whatever comes in', () => {
  const input = fc.oneof(
    fc.nat({ max: 20 }).map(written),
    fc.constantFrom(pinged, pong, libraryPong, stayed, closedCleanly),
  );

  it('what is acknowledged only rises, and was written before a PING that went out before', () => {
    fc.assert(
      fc.property(
        fc.array(input, { maxLength: 60 }),
        fc.nat({ max: 5 }),
        fc.boolean(),
        (inputs, cursor, acknowledges) => {
          let state = beginAcknowledgement(cursor, acknowledges);
          let covered = cursor;
          for (const next of inputs) {
            if (next.type === 'pinged') covered = Math.max(covered, state.written);
            const before = state.acknowledged;
            state = acknowledgeInput(state, next);
            expect(state.acknowledged).toBeGreaterThanOrEqual(before);
            expect(state.acknowledged).toBeLessThanOrEqual(covered);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('a client that answers every PING ends with everything acknowledged', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        const pings = inputs.filter(({ type }) => type === 'pinged').length;
        let state = after([...inputs, ...Array.from({ length: pings }, () => pong)]);
        if (needsPing(state)) state = acknowledgeInput(acknowledgeInput(state, pinged), pong);
        expect(state.acknowledged).toBe(state.written);
      }),
    );
  });

  it('a PONG acknowledges nothing that was written after the PING that it answers', () => {
    const step = fc.oneof(
      fc.constant('output' as const),
      fc.constant('ping' as const),
      fc.array(fc.constantFrom(libraryPong, stayed, closedCleanly), { maxLength: 2 }),
      // The client answers one of the PINGs that it has not passed over yet, in their order.
      fc.record({ passesOver: fc.constantFrom(0, 0, 1) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.boolean(), (steps, acknowledges) => {
        let state = beginAcknowledgement(0, acknowledges);
        let seq = 0;
        let unanswered: number[] = [];
        for (const next of steps) {
          const before = state;
          if (next === 'output') {
            state = acknowledgeInput(state, written(++seq));
          } else if (next === 'ping') {
            state = acknowledgeInput(state, pinged);
            if (state !== before) unanswered.push(seq);
          } else if (Array.isArray(next)) {
            state = next.reduce(acknowledgeInput, state);
          } else {
            unanswered = unanswered.slice(next.passesOver);
            const horizon = unanswered.shift();
            if (horizon === undefined) continue;
            state = acknowledgeInput(state, pong);
            expect(state.acknowledged).toBeLessThanOrEqual(Math.max(before.acknowledged, horizon));
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
