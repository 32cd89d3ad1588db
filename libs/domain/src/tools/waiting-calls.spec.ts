import {
  ATTACH,
  CALL,
  GATEWAY,
  GPS,
  OTHER_ATTACH,
  OTHER_CALL,
  RUNNER,
  WAIT_MS,
  begunWithGps,
  given,
  instant,
  surfaceAttached,
  surfaceDetached,
  toolDecided,
  toolReturned,
  toolsCalled,
  turnAdopted,
  turnParked,
} from '#libs/domain/testing';
import type { LogEvent } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import type { OpenSession } from '../session-state.js';
import { dueAt } from './waiting-calls.js';

const begun = begunWithGps;
const BOTH = [CALL, OTHER_CALL];
const waiting = [...begun, toolsCalled(10, { calls: BOTH, onSurfaceLost: 'wait' })] as const;
const asked = [...begun, toolsCalled(10, { needsApproval: true })] as const;

const open = (...log: readonly LogEvent[]) => given(...log).session;
const places = ({ calls }: OpenSession) => calls.map(({ place }) => place.type);
const outcomes = (log: readonly LogEvent[], event: LogEvent) =>
  given(...log)
    .whenLogged(event)
    .changes.flatMap((change) => (change.type === 'call-returned' ? [change.outcome] : []));

// [SBP-L5-12]
describe('calls that may wait for a device', () => {
  it('survive its going, and its runner is told to park the turn', () => {
    const left = given(...waiting).whenLogged(surfaceDetached(ATTACH, { at: instant(5_000) }));
    expect(left.poke).toContainEqual(RUNNER);
    expect(left.changes).toEqual([]);
    expect(left.state).toMatchObject({
      calls: BOTH.map((callId) => {
        return { callId, place: { type: 'device' }, deadline: instant(5_000 + WAIT_MS) };
      }),
    });
  });

  it('go to the next surface that has their tool, at once where it takes over', () => {
    const other = surfaceAttached(OTHER_ATTACH, { ...GPS, at: instant(9_000) });
    for (const log of [waiting, [...waiting, surfaceDetached()]]) {
      const { state, poke } = given(...log).whenLogged(other);
      expect(state).toMatchObject({
        calls: BOTH.map((callId) => {
          const place = { type: 'surface', attachId: OTHER_ATTACH };
          return { callId, place, deadline: instant(39_000) };
        }),
        called: 4,
      });
      expect(poke).toEqual(expect.arrayContaining([GATEWAY, RUNNER]));
    }
  });

  it('wait on where the next surface has not their tool', () => {
    const log = [...waiting, surfaceDetached(), surfaceAttached(OTHER_ATTACH)];
    expect(places(open(...log))).toEqual(['device', 'device']);
  });

  it('take a result that was on its way when the surface went', () => {
    const log = [...waiting, surfaceDetached(), toolReturned(CALL)];
    expect(open(...log).calls.map(({ callId }) => callId)).toEqual([OTHER_CALL]);
  });
});

// [SBP-L5-13]
describe('calls that a human must allow', () => {
  it('leave when they are, and nobody can answer or decide about them twice', () => {
    expect(places(open(...asked))).toEqual(['approval']);
    expect(open(...asked).called).toBe(0);
    expect(open(...asked, toolReturned(CALL))).toEqual(open(...asked));
    const { state, changes, poke } = given(...asked).whenLogged(
      toolDecided(CALL, true, { at: instant(7_000) }),
    );
    expect(state).toMatchObject({
      calls: [{ place: { type: 'surface', attachId: ATTACH }, deadline: instant(37_000) }],
      called: 1,
    });
    expect(changes.map(({ type }) => type)).toEqual(['call-decided']);
    expect(poke).toEqual(expect.arrayContaining([GATEWAY, RUNNER]));
    const allowed = [...asked, toolDecided(CALL, true)];
    expect(open(...allowed, toolDecided(CALL, false))).toEqual(open(...allowed));
  });

  it('are over where they are not', () => {
    const denied = toolDecided(CALL, false);
    expect(outcomes(asked, denied)).toEqual(['denied']);
    const { changes, poke } = given(...asked).whenLogged(denied);
    expect(changes.at(-1)).toMatchObject({ type: 'round-returned' });
    expect(poke).toEqual([RUNNER]);
  });

  it('wait whoever comes and goes, and are cancelled when allowed where no device has them', () => {
    const gone = [...asked, surfaceDetached()];
    expect(places(open(...gone))).toEqual(['approval']);
    expect(outcomes(gone, toolDecided(CALL, true))).toEqual(['cancelled']);
    const back = [...gone, surfaceAttached(OTHER_ATTACH, GPS), toolDecided(CALL, true)];
    expect(places(open(...back))).toEqual(['surface']);
  });

  it('are for the next device where they may wait for it', () => {
    const may = { needsApproval: true, onSurfaceLost: 'wait' } as const;
    const log = [...begun, toolsCalled(10, may), surfaceDetached(), toolDecided(CALL, true)];
    expect(places(open(...log))).toEqual(['device']);
  });
});

// [SBP-L5-14]
describe('a turn whose calls all wait', () => {
  it('is due when the first of them has waited too long, else at once', () => {
    expect(dueAt(open(...begun))).toBe(0);
    expect(dueAt(open(...waiting))).toBe(0);
    const left = [...waiting, surfaceDetached(ATTACH, { at: instant(0) })];
    expect(dueAt(open(...left))).toBe(Date.parse(instant(WAIT_MS)));
    expect(dueAt(open(...left, toolReturned(CALL), toolReturned(OTHER_CALL)))).toBe(0);
    expect(dueAt(open(...asked, toolDecided(CALL, true)))).toBe(0);
  });

  it('is parked by its runner, and no adoption after that says anything against it', () => {
    const parked = [...asked, turnParked(10)];
    expect(open(...parked).turn).toMatchObject({ parked: true });
    expect(open(...asked, turnParked(9)).turn).toMatchObject({ parked: false });
    expect(open(...parked, turnAdopted(20)).turn).toMatchObject({ parked: false, adoptions: 0 });
    expect(open(...asked, turnAdopted(20)).turn).toMatchObject({ adoptions: 1 });
  });
});
