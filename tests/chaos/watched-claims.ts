import type { Claims, Orphans } from '#libs/store';
import type { KillPoints } from './kill-points.js';
import type { WorkWriter } from './work-writer.js';

/**
 * The claims with their kill points, and notes of which are held. `ended`: turns whose end was
 * acknowledged here. `promised` is given those that are about to be answered. `waiting`: turns that
 * wait here.
 */
export function watchedClaims(
  inner: Claims,
  points: KillPoints,
  work: WorkWriter,
  {
    ended,
    promised,
    waiting,
  }: {
    readonly ended: Set<string>;
    readonly promised: Set<string>;
    readonly waiting: Set<string>;
  },
): Claims {
  const watched: Pick<Claims, 'claim' | 'open' | 'seize' | 'interrupt' | 'release'> = {
    async claim(request) {
      const hasWaited = waiting.has(request.turnId);
      if (hasWaited) points.pass('Q3');
      const outcome = await inner.claim(request);
      if (outcome.type === 'claimed') {
        work.note({ note: 'claimed', session: outcome.sessionId, turn: request.turnId });
        points.pass('T1');
        if (hasWaited) points.pass('Q4');
        waiting.delete(request.turnId);
      }
      return outcome;
    },
    async open(request) {
      const outcome = await inner.open(request);
      if (outcome.type === 'opened') {
        work.note({ note: 'claimed', session: request.sessionId, turn: request.turnId });
        points.pass('T1');
      }
      return outcome;
    },
    async seize(sessionId, turnId, runner) {
      const epoch = await inner.seize(sessionId, turnId, runner);
      if (epoch !== null) points.pass('C1');
      return epoch;
    },
    async interrupt(taking, over) {
      const epoch = await inner.interrupt(taking, over);
      if (epoch !== null) {
        work.note({ note: 'claimed', session: taking.sessionId, turn: taking.turnId });
        points.pass('I1');
      }
      return epoch;
    },
    async release(release) {
      const { sessionId, turnId, answeredBy } = release;
      const released = await inner.release(release);
      const hadEnded = ended.delete(turnId);
      if (released && hadEnded && answeredBy !== null) {
        promised.add(turnId);
        points.pass('T7');
      }
      work.note({ note: 'released', session: sessionId });
      return released;
    },
  };
  return Object.assign(Object.create(inner) as Claims, watched);
}

/** The turns that nobody looks after, with the kill points of their adoption. */
export function watchedOrphans(inner: Orphans, points: KillPoints, work: WorkWriter): Orphans {
  const watched: Pick<Orphans, 'adopt'> = {
    async adopt(orphan, runner, judgedBy) {
      const epoch = await inner.adopt(orphan, runner, judgedBy);
      if (epoch !== null) {
        work.note({ note: 'adopted', session: orphan.sessionId, turn: orphan.turnId });
        points.pass('O1');
        if (orphan.claim === null) points.pass('P3');
      }
      return epoch;
    },
  };
  return Object.assign(Object.create(inner) as Orphans, watched);
}
