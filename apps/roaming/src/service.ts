import { mostBundleBytes } from '#libs/protocol';
import { RoamingModule } from '#libs/roaming';
import type { ServiceSpec, Settings } from '#libs/runtime';

/** Roaming: sessions that are exported, imported, handed over and forked. */
export function roamingService(settings: Settings): ServiceSpec {
  return {
    name: 'roaming',
    reads: false,
    modules: ({ storage, logger, secret }, publicUrl) => [
      RoamingModule.register(
        {
          publicUrl,
          maxBundleBytes: mostBundleBytes(settings.limits.sessionBytes),
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
