import { describe, expect, it, vi } from 'vitest';
import type { LogEventType } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import { Claims } from '#libs/store';
import { SessionReleases } from '#libs/session-log';
import { TestModel, neverAnswer } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';
import { Cancellation } from './cancellation.js';

const stage = useStage();
const by = { principal: 'anonymous', via: 'http' } as const;

/** Where a turn stands when somebody stops it. */
type Step =
  | 'claimed'
  | 'start sent'
  | 'start in the log'
  | 'model asked'
  | 'end sent'
  | 'end in the log'
  | 'released'
  | 'answered';

/** The turn runs in one process; it is stopped in the same one, or in another. */
async function scene(elsewhere: boolean) {
  const model = new TestModel();
  const runner = await stage.start({ model });
  const other = elsewhere ? await stage.start({ model: new TestModel() }) : runner;
  const { session } = await runner.turn();
  const sessionId = session?.sessionId ?? '';
  await stage.backend.freshness.latest(sessionId);

  /** As the route does it: on the session as it is at the log's end. */
  const cancel = async () => {
    await stage.backend.freshness.latest(sessionId);
    const state = await stage.backend.sessions.state(sessionId);
    if (state.phase !== 'open') throw new Error('the session is not open');
    return other
      .get(Cancellation)
      .cancel(sessionId, state, null, by)
      .then(
        ({ status }) => status as string,
        (error: unknown) => (error instanceof SbpError ? error.code : String(error)),
      );
  };
  return { model, runner, sessionId, cancel };
}

type Scene = Awaited<ReturnType<typeof scene>>;

/** Calls back once, when an event of the type is about to be appended, and waits for that. */
function before(type: LogEventType, work: () => Promise<void>): void {
  stage.backend.log.obstacle = async (events) => {
    if (!events.some((event) => event.type === type)) return;
    stage.backend.log.obstacle = () => Promise.resolve();
    await work();
  };
}

/** Stops the turn when it has come to the step; gives what whoever stops it is told. */
const stopAt: Readonly<Record<Step, (scene: Scene) => Promise<string>>> = {
  claimed: ({ runner, cancel }) => {
    const { claims } = runner.process;
    return new Promise((resolve) => {
      vi.spyOn(claims, 'claim').mockImplementationOnce(async (request) => {
        const outcome = await Claims.prototype.claim.call(claims, request);
        resolve(cancel());
        return outcome;
      });
    });
  },
  'start sent': ({ cancel }) =>
    new Promise((resolve) => {
      before('turn.started', () => {
        resolve(cancel());
        return Promise.resolve();
      });
    }),
  'start in the log': async ({ cancel }) => {
    const { goOn } = stage.backend.holdFold();
    await eventually(async () => {
      const types = await stage.types();
      expect(types.filter((type) => type === 'turn.started')).toHaveLength(2);
    });
    const stopping = cancel();
    goOn();
    return stopping;
  },
  'model asked': async ({ model, cancel, sessionId }) => {
    const { answer } = model;
    model.answer = neverAnswer;
    await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      expect(state).toMatchObject({ turn: { number: 2 } });
    });
    model.answer = answer;
    return cancel();
  },
  'end sent': ({ cancel, sessionId }) =>
    new Promise((resolve) => {
      before('turn.completed', async () => {
        const held = await stage.backend.claims.inspect(sessionId);
        resolve(cancel());
        await eventually(async () => {
          const claim = await stage.backend.claims.inspect(sessionId);
          expect(claim?.epoch).toBeGreaterThan(held?.epoch ?? 0);
        });
      });
    }),
  'end in the log': ({ cancel, runner }) => {
    const releases = runner.get(SessionReleases);
    return new Promise((resolve) => {
      vi.spyOn(releases, 'release').mockImplementationOnce(async (given) => {
        const stopping = cancel();
        resolve(stopping);
        await stopping;
        return SessionReleases.prototype.release.call(releases, given);
      });
    });
  },
  released: ({ cancel, runner }) => {
    const releases = runner.get(SessionReleases);
    return new Promise((resolve) => {
      vi.spyOn(releases, 'release').mockImplementationOnce(async (given) => {
        const isReleased = await SessionReleases.prototype.release.call(releases, given);
        resolve(cancel());
        return isReleased;
      });
    });
  },
  answered: async ({ cancel, sessionId }) => {
    await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      expect(state).toMatchObject({ steps: 2 });
    });
    return cancel();
  },
};

// [SBP-L1-72]
describe.each([
  ['in its own process', false],
  ['from another process', true],
])('a turn that is stopped %s', (_, elsewhere) => {
  it.each(Object.keys(stopAt) as Step[])(
    'when it is %s: everybody is told the same',
    async (step) => {
      const set = await scene(elsewhere);
      const stopping = stopAt[step](set);
      const sbp = { session_id: set.sessionId };
      const caller = await set.runner.turn({ sbp, text: 'Stop me.' });
      const told = await stopping;
      await stage.backend.freshness.latest(set.sessionId);
      const [last] = (await stage.backend.sessions.turns(set.sessionId, 1, 1)).slice(-1);
      if (last?.status === 'cancelled') {
        expect([told, caller.seen]).toEqual(['cancelled', ['fail SBP_TURN_CANCELLED']]);
      } else {
        expect(last?.status).toBe('completed');
        expect(['completed', 'SBP_SESSION_CONFLICT']).toContain(told);
        expect(caller.seen).toEqual(['answer with sbp']);
      }
      // What the model is asked next agrees with that.
      const next = await set.runner.turn({ sbp, text: 'Go on.' });
      expect(next.seen).toEqual(['answer with sbp']);
      await stage.backend.freshness.latest(set.sessionId);
      const state = await stage.backend.sessions.state(set.sessionId);
      expect(state).toMatchObject({ steps: last?.status === 'completed' ? 3 : 2 });
    },
  );
});
