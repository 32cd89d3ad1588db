import type { SurfaceSockets } from '#libs/gateway';
import type { RunServiceOptions } from '#libs/runtime';
import { KillPoints } from './kill-points.js';
import { watchedClaims } from './watched-claims.js';
import { WatchedLog } from './watched-log.js';
import { WatchedSockets } from './watched-sockets.js';
import { WorkWriter } from './work-writer.js';

/**
 * What test programs put between the services and the real parts: the same services, which can be
 * killed at a named step.
 */
export function watch(): { readonly options: RunServiceOptions; readonly sockets: SurfaceSockets } {
  const work = new WorkWriter();
  const points = new KillPoints(work);
  let watchedLog: WatchedLog | undefined;
  return {
    sockets: new WatchedSockets(points, work),
    options: {
      decorators: {
        log: (log) => (watchedLog = new WatchedLog(log, points, work)),
        claims: (claims) => watchedClaims(claims, points, work, () => watchedLog?.completed),
      },
    },
  };
}
