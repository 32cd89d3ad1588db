import type { ServiceSpec, Settings } from '#libs/runtime';
import { SessionsModule } from '#libs/sessions';

/** Sessions: the session API, and the projector that folds the log into the read models. */
export function sessionsService({ suspendedTimeoutMs }: Settings): ServiceSpec {
  return {
    name: 'sessions',
    reads: true,
    modules: ({ storage, presence, logger }) => [
      SessionsModule.register({
        onlyProcess: storage.exclusive ? presence.identity.address : null,
        suspendedTimeoutMs,
        onProblem: (what, error) => logger.error({ err: error }, what),
      }),
    ],
  };
}
