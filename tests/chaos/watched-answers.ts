import type { UnconfirmedAnswers } from '#libs/store';
import type { KillPoints } from './kill-points.js';

/**
 * The answers that were given, with the kill point before they are confirmed. `promised`: turns
 * whose own caller is answered here; others are confirmed for a dead process.
 */
export function watchedAnswers(
  inner: UnconfirmedAnswers,
  points: KillPoints,
  promised: Set<string>,
): UnconfirmedAnswers {
  const watched: Pick<UnconfirmedAnswers, 'confirm'> = {
    confirm(answer) {
      if (promised.delete(answer.turnId)) points.pass('T8');
      inner.confirm(answer);
    },
  };
  return Object.assign(Object.create(inner) as UnconfirmedAnswers, watched);
}
