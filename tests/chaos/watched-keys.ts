import type { TurnKeys } from '#libs/store';
import type { KillPoints } from './kill-points.js';

/** The keys of requests, with the kill points behind their being taken. */
export function watchedKeys(inner: TurnKeys, points: KillPoints): TurnKeys {
  const watched: Pick<TurnKeys, 'take'> = {
    async take(key, turn) {
      const held = await inner.take(key, turn);
      points.pass(held === null ? 'R1' : 'R2');
      return held;
    },
  };
  return Object.assign(Object.create(inner) as TurnKeys, watched);
}
