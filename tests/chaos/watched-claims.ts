import type { Claims } from '#libs/store';
import type { KillPoints } from './kill-points.js';
import type { WorkWriter } from './work-writer.js';

/**
 * The claims with their kill points, and notes of which are held. `completed`: sessions whose
 * turn's end was acknowledged.
 */
export function watchedClaims(
  inner: Claims,
  points: KillPoints,
  work: WorkWriter,
  completed: () => Set<string> | undefined,
): Claims {
  const watched: Pick<Claims, 'claim' | 'open' | 'release' | 'adopt'> = {
    async claim(request) {
      const outcome = await inner.claim(request);
      if (outcome.type === 'claimed') {
        work.note({ note: 'claimed', session: request.sessionId, turn: request.turnId });
        points.pass('T1');
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
    async release(sessionId, epoch, head) {
      const released = await inner.release(sessionId, epoch, head);
      const hadEnded = completed()?.delete(sessionId) === true;
      if (released && hadEnded) points.pass('T7');
      work.note({ note: 'released', session: sessionId });
      return released;
    },
    async adopt(orphan, runner, othersDead) {
      const epoch = await inner.adopt(orphan, runner, othersDead);
      if (epoch !== null)
        work.note({ note: 'adopted', session: orphan.sessionId, turn: orphan.turnId });
      return epoch;
    },
  };
  return Object.assign(Object.create(inner) as Claims, watched);
}
