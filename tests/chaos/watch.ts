import type { SurfaceSockets } from '#libs/gateway';
import type { RunServiceOptions } from '#libs/runtime';
import { KillPoints } from './kill-points.js';
import { watchedAnswers } from './watched-answers.js';
import { watchedClaims, watchedOrphans } from './watched-claims.js';
import { watchedKeys } from './watched-keys.js';
import { WatchedLog } from './watched-log.js';
import { WatchedModel } from './watched-model.js';
import { WatchedSockets } from './watched-sockets.js';
import { WorkWriter } from './work-writer.js';

/**
 * What test programs put between the services and the real parts: the same services, which can be
 * killed at a named step.
 */
export function watch(): { readonly options: RunServiceOptions; readonly sockets: SurfaceSockets } {
  const work = new WorkWriter();
  const points = new KillPoints(work);
  /** Turns whose completion was acknowledged here, and that are not released yet. */
  const ended = new Set<string>();
  /** Turns that were released here to be answered, and whose answer is not confirmed yet. */
  const promised = new Set<string>();
  /** Turns that wait, and that this process is to start. */
  const waiting = new Set<string>();
  return {
    sockets: new WatchedSockets(points, work),
    options: {
      decorators: {
        log: (log) => new WatchedLog(log, points, work, ended, waiting),
        claims: (claims) => watchedClaims(claims, points, work, { ended, promised, waiting }),
        keys: (keys) => watchedKeys(keys, points),
        orphans: (orphans) => watchedOrphans(orphans, points, work),
        unconfirmed: (unconfirmed) => watchedAnswers(unconfirmed, points, promised),
        model: (model) => new WatchedModel(model, points),
      },
    },
  };
}
