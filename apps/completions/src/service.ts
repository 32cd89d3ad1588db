import { isOneOf } from '#libs/llm';
import { CompletionsInbox, CompletionsModule } from '#libs/completions';
import type { ServiceSpec, Settings } from '#libs/runtime';

/** How long turns may go on when the process is asked to stop, in ms. */
const DRAIN_MS = 6_000;

/** Completions: runs turns, and adopts those of dead processes. */
export function completionsService(settings: Settings): ServiceSpec {
  return {
    name: 'completions',
    reads: false,
    modules: ({ storage, logger }) => [
      CompletionsModule.register({
        track: settings.track,
        implicitSession: settings.implicitSession,
        othersDead: storage.exclusive,
        maxSessionBytes: settings.limits.sessionBytes,
        maxTurns: settings.limits.turns,
        // With open access all are one principal, and have all the places.
        maxPrincipalTurns: settings.auth.type === 'open' ? null : settings.limits.principalTurns,
        maxBytes: settings.limits.turnBytes,
        maxTokensField: settings.maxTokensField,
        maxToolRounds: settings.maxToolRounds,
        takesImages: (model) => isOneOf(settings.imageModels, model),
        drainMs: DRAIN_MS,
        onProblem: (what, error) => logger.error({ err: error }, what),
        onModelFault: (error) => logger.warn({ err: error }, 'The model failed'),
        onTurnEnded: (report) => logger.info(report, 'A turn has ended'),
        onAdopted: (session, turn) =>
          logger.warn({ session, turn }, 'A turn of a dead process goes on here'),
      }),
    ],
    onMessage: (app) => {
      const inbox = app.get(CompletionsInbox, { strict: false });
      return (message) => inbox.accept(message);
    },
  };
}
