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
  const watched: Pick<Claims, 'claim' | 'open' | 'release'> = {
    async claim(request) {
      const outcome = await inner.claim(request);
      if (outcome.type === 'claimed') {
        work.note({ note: 'claimed', session: outcome.sessionId, turn: request.turnId });
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
    async release(release) {
      const { sessionId } = release;
      const released = await inner.release(release);
      const hadEnded = completed()?.delete(sessionId) === true;
      if (released && hadEnded) points.pass('T7');
      work.note({ note: 'released', session: sessionId });
      return released;
    },
  };
  return Object.assign(Object.create(inner) as Claims, watched);
}
