import {
  ATTACH,
  CALL,
  GATEWAY,
  OTHER_ATTACH,
  OTHER_CALL,
  RUNNER,
  TURN,
  begunWithGps,
  given,
  id,
  instant,
  processAt,
  surfaceAttached,
  surfaceDetached,
  toolReturned,
  toolsCalled,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import type { OpenSession } from '../session-state.js';

const begun = begunWithGps;
const BOTH = [CALL, OTHER_CALL];
const called = [...begun, toolsCalled(10, { calls: BOTH })] as const;

const open = (...log: readonly LogEvent[]) => given(...log).session;
const callIds = ({ calls }: OpenSession) => calls.map(({ callId }) => callId);
const outcomes = (log: readonly LogEvent[], event: LogEvent) =>
  given(...log)
    .whenLogged(event)
    .changes.flatMap((change) =>
      change.type === 'call-returned' ? [[change.callId, change.outcome]] : [],
    );

describe('calls of tools', () => {
  it('are open from the fold of their round on, and the gateway of their surface is told', () => {
    const { state, poke } = given(...begun).whenLogged(toolsCalled(10, { calls: BOTH }));
    expect(state).toMatchObject({
      calls: BOTH.map((callId) => {
        const place = { type: 'surface', attachId: ATTACH };
        const by = { type: 'turn', turnId: TURN };
        return { callId, by, toolName: 'gps', place, deadline: instant(30_000) };
      }),
      called: 2,
      turn: { rounds: 1 },
    });
    expect(poke).toEqual([GATEWAY]);
  });

  it.each([
    ['an attempt that lost its claim', toolsCalled(9)],
    ['another turn', toolsCalled(10, { turn: id(5) })],
    ['a round that is not the next', toolsCalled(10, { round: 2 })],
  ])('are none where %s made them', (_, event) => {
    expect(given(...begun).whenLogged(event).state).toEqual(open(...begun));
  });

  it('have one outcome, the first, and the last of a round tells its runner [A18]', () => {
    expect(callIds(open(...called, toolReturned(CALL)))).toEqual([OTHER_CALL]);
    expect(given(...called).whenLogged(toolReturned(CALL)).poke).toEqual([]);
    const last = given(...called, toolReturned(CALL)).whenLogged(toolReturned(OTHER_CALL));
    expect(last.poke).toEqual([RUNNER]);
    expect(last.changes.map(({ type }) => type)).toEqual(['call-returned', 'round-returned']);
    const over = [...called, toolReturned(CALL), toolReturned(OTHER_CALL)];
    expect(open(...over, toolReturned(CALL), toolReturned(id(7)))).toEqual(open(...over));
  });

  // [SBP-L5-08]
  it('have failed where their round may not return so many bytes', () => {
    const few = [...begun, toolsCalled(10, { calls: BOTH, resultBytes: 10 })];
    const six = toolReturned(CALL, { result: 'four' });
    const other = (result: string) => toolReturned(OTHER_CALL, { result });
    const returned = (log: readonly LogEvent[], event: LogEvent) =>
      given(...log).whenLogged(event).changes[0];
    expect(returned(few, six)).toMatchObject({ outcome: 'result', isTooLarge: false });
    expect(returned([...few, six], other('ab'))).toMatchObject({ outcome: 'result' });
    const refused = { callId: OTHER_CALL, outcome: 'error', isTooLarge: true };
    expect(returned([...few, six], other('abc'))).toMatchObject(refused);
    expect(returned(few, other('too many'))).toMatchObject({ outcome: 'result' });
    expect(returned(few, other('far too many'))).toMatchObject(refused);
    // What was refused takes nothing of what the others may return.
    expect(open(...few, other('far too many')).turn).toMatchObject({ resultBytes: 10 });
    expect(open(...few, six).turn).toMatchObject({ resultBytes: 4 });
  });

  it('are cancelled when their surface leaves or is replaced, and its runner is told', () => {
    const cancelled = BOTH.map((callId) => [callId, 'cancelled']);
    for (const event of [surfaceDetached(), surfaceAttached(OTHER_ATTACH)]) {
      expect(outcomes(called, event)).toEqual(cancelled);
      expect(given(...called).whenLogged(event).poke).toContainEqual(RUNNER);
      expect(callIds(open(...called, event))).toEqual([]);
    }
    expect(outcomes(called, surfaceDetached(OTHER_ATTACH))).toEqual([]);
  });

  it('are cancelled at once where their surface had left before them', () => {
    const left = [...begun, surfaceDetached()];
    expect(outcomes(left, toolsCalled(10))).toEqual([[CALL, 'cancelled']]);
  });

  it('are over at once where none was sent', () => {
    const { state, changes } = given(...begun).whenLogged(toolsCalled(10, { refused: true }));
    expect(state).toMatchObject({ calls: [], called: 0, turn: { rounds: 1 } });
    expect(changes.map(({ type }) => type)).toEqual(['tools-called', 'round-returned']);
  });

  it('end with their turn', () => {
    for (const event of [turnFailed(10), turnStarted(20, { turn: id(8), after: 1 })]) {
      expect(outcomes(called, event)).toEqual(BOTH.map((callId) => [callId, 'cancelled']));
      expect(callIds(open(...called, event))).toEqual([]);
    }
  });

  it('stay open when their turn is adopted, and a round that returns says that it goes on', () => {
    const runner = processAt(9);
    const adopted = [...called, turnAdopted(20, { runner })];
    expect(callIds(open(...adopted))).toEqual(BOTH);
    expect(open(...adopted).turn).toMatchObject({ adoptions: 1, rounds: 1 });
    const returned = [...adopted, toolReturned(CALL), toolReturned(OTHER_CALL)];
    expect(open(...returned).turn).toMatchObject({ adoptions: 0, rounds: 1, runner });
    expect(open(...returned, toolsCalled(20, { round: 2 })).turn).toMatchObject({ rounds: 2 });
  });

  it('that were answered leave no message of the turn refused', () => {
    const refusal = turnFailed(10, { upstreamStatus: 400 });
    const refused = (...log: LogEvent[]) =>
      given(...log)
        .whenLogged(refusal)
        .changes.find(({ type }) => type === 'turn-ended');
    expect(refused(...begun)).toMatchObject({ refused: true });
    expect(refused(...called, toolReturned(CALL), toolReturned(OTHER_CALL))).toMatchObject({
      refused: false,
      rounds: 1,
    });
  });

  it('count with the messages that the turn says it adds', () => {
    const completed = turnCompleted(10);
    const whole = { ...completed, data: { ...completed.data, message_count: 4 } };
    expect(open(...called, toolReturned(CALL), toolReturned(OTHER_CALL), whole).messages).toBe(5);
  });
});
