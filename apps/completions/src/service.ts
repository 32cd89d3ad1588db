import { CompletionsModule } from '#libs/completions';
import { LiveTurns } from '#libs/live';
import type { ServiceSpec, Settings } from '#libs/runtime';

/** Completions: runs turns, and adopts those of dead processes. */
export function completionsService(settings: Settings): ServiceSpec {
  return {
    name: 'completions',
    present: true,
    reads: false,
    modules: ({ storage, logger }) => [
      CompletionsModule.register({
        track: settings.track,
        // Access is open only on loopback, where `auto` means on.
        implicitSession: settings.implicitSession !== 'off',
        othersDead: storage.exclusive,
        onProblem: (what, error) => logger.error({ err: error }, what),
        onAdopted: (session, turn) =>
          logger.warn({ session, turn }, 'A turn of a dead process goes on here'),
      }),
    ],
    onMessage: (app) => {
      const live = app.get(LiveTurns, { strict: false });
      return (message) => live.accept(message);
    },
  };
}
