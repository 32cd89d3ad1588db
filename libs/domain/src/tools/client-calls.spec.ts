import {
  CALL,
  GATEWAY,
  GPS,
  OTHER_ATTACH,
  OTHER_CALL,
  RUNNER,
  begunWithGps,
  given,
  id,
  instant,
  processAt,
  surfaceAttached,
  surfaceDetached,
  toolCalled,
  toolReturned,
  toolsCalled,
  turnCompleted,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { MAX_CLIENT_CALLS } from '../session-state.js';
import type { OpenSession } from '../session-state.js';
import { dueAt } from './waiting-calls.js';

const begun = begunWithGps;
const CLIENT = processAt(7);

const open = (...log: readonly LogEvent[]) => given(...log).session;
const callIds = ({ calls }: OpenSession) => calls.map(({ callId }) => callId);

// [SBP-L5-21]
describe('a call of a client of MCP', () => {
  it('is open at the attachment that it names, and its gateway is told', () => {
    const { state, changes, poke } = given(...begun).whenLogged(toolCalled());
    expect(state).toMatchObject({
      calls: [{ callId: CALL, by: { caller: CLIENT }, deadline: instant(30_000) }],
      called: 1,
    });
    expect(changes).toEqual([{ type: 'tool-called', callId: CALL, toolName: 'gps' }]);
    expect(poke).toEqual([GATEWAY]);
    const gone = [...begun, surfaceDetached()];
    expect(open(...gone, toolCalled())).toEqual(open(...gone));
    const replaced = [...begun, surfaceAttached(OTHER_ATTACH, GPS)];
    expect(open(...replaced, toolCalled())).toEqual(open(...replaced));
  });

  it('is told to whoever waits for it, and is none of a turn', () => {
    const called = [...begun, toolCalled()];
    const { state, changes, poke } = given(...called).whenLogged(toolReturned());
    expect(changes).toMatchObject([{ type: 'call-returned', outcome: 'result' }]);
    expect(poke).toEqual([CLIENT]);
    expect(state).toMatchObject({ calls: [] });
    expect(callIds(open(...called, turnCompleted(10)))).toEqual([CALL]);
    expect(dueAt(open(...called))).toBe(0);
    const both = [...called, toolsCalled(10, { calls: [OTHER_CALL] })];
    const returned = given(...both).whenLogged(toolReturned(OTHER_CALL));
    expect(returned.poke).toEqual([RUNNER]);
    expect(callIds(returned.state as OpenSession)).toEqual([CALL]);
  });

  it('ends with its surface', () => {
    const { changes, poke } = given(...begun, toolCalled()).whenLogged(surfaceDetached());
    expect(changes).toMatchObject([{ type: 'call-returned', outcome: 'cancelled' }]);
    expect(poke).toContainEqual(CLIENT);
  });

  it('counts once, however late a copy comes', () => {
    const over = [...begun, toolCalled(), toolReturned()];
    expect(open(...over, toolCalled())).toEqual(open(...over));
  });

  it('is none where too many are open, unless nobody waits for those any more', () => {
    const many = Array.from({ length: MAX_CLIENT_CALLS }, (_, at) => toolCalled(id(100 + at)));
    const full = [...begun, ...many];
    expect(open(...full, toolCalled())).toEqual(open(...full));
    const later = given(...full).whenLogged(toolCalled(CALL, { at: instant(30_001) }));
    expect(callIds(later.state as OpenSession)).toEqual([CALL]);
    expect(later.changes.filter(({ type }) => type === 'call-returned')).toHaveLength(many.length);
  });
});
