import { RoamingModule } from '#libs/roaming';
import type { ServiceSpec, Settings } from '#libs/runtime';

/** What a bundle has beside its messages, in bytes: the most. */
const BESIDE_MESSAGES = 20_000_000;

/** Roaming: sessions that are exported, imported, handed over and forked. */
export function roamingService(settings: Settings): ServiceSpec {
  return {
    name: 'roaming',
    reads: false,
    modules: ({ storage, logger, secret }, publicUrl) => [
      RoamingModule.register(
        {
          publicUrl,
          // Each message says beside its own bytes where it comes from.
          maxBundleBytes: 2 * settings.limits.sessionBytes + BESIDE_MESSAGES,
          othersDead: storage.exclusive,
          onProblem: (what, error) => logger.error({ err: error }, what),
        },
        {
          secret,
          keyFile: settings.keyFile,
          servers: {
            trusted: settings.trustedIssuers,
            allowsPrivate: settings.issuerNetworks === 'any',
          },
        },
      ),
    ],
  };
}
