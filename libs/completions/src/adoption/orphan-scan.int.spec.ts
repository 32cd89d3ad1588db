import { describe, expect, it, vi } from 'vitest';
import {
  SESSION,
  TURN,
  assistant,
  id,
  surfaceAttached,
  turnAdopted,
  turnCompleted,
  turnStarted,
  user,
} from '#libs/domain/testing';
import type { SessionState } from '#libs/domain';
import { sql } from '#libs/sql';
import { SessionReads } from '#libs/store';
import { DeadProcess } from '../testing/dead-process.js';
import type { CompletionsSetup } from '../testing/test-completions.js';
import { TestModel, answerWith, neverAnswer } from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();

/** Reads whose database goes away for a moment. */
class InterruptedReads extends SessionReads {
  failures = 0;

  override state(sessionId: string): Promise<SessionState> {
    if (this.failures-- > 0) return Promise.reject(new Error('the database is away'));
    return super.state(sessionId);
  }
}

/** A process starts, for which every other one is known to be dead. */
async function survivor(setup: Partial<CompletionsSetup> = {}) {
  const model = new TestModel();
  model.answer = () => answerWith('Adopted.');
  const completions = await stage.start({ model, options: { othersDead: true }, ...setup });
  return { model, completions };
}

async function released(sessionId = SESSION): Promise<void> {
  await eventually(async () => {
    expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId: null });
  });
}

async function folded(state: object, sessionId = SESSION): Promise<void> {
  await eventually(async () => {
    expect(await stage.backend.sessions.state(sessionId)).toMatchObject(state);
  });
}

/** Waits for further looks at the processes, by whoever looks. */
async function scans(count: number): Promise<void> {
  const signs = vi.spyOn(stage.backend.processes, 'signs');
  await eventually(() => expect(signs.mock.calls.length).toBeGreaterThanOrEqual(count));
  signs.mockRestore();
}

describe('a turn whose runner died', () => {
  it('is adopted, run again, and its answer owed: its caller is gone [A6]', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await dead.start(SESSION, TURN);
    const { model, completions } = await survivor();
    await folded({ turn: null, steps: 1, head: 1 });
    await released();
    expect(await stage.types()).toEqual([
      'session.opened',
      'turn.started',
      'turn.adopted',
      'turn.completed',
    ]);
    expect(await stage.backend.events()).toContainEqual(
      expect.objectContaining({
        type: 'turn.adopted',
        data: { runner: completions.process.address, handed_over: false },
        by: { principal: null, via: 'system' },
      }),
    );
    expect(model.asked).toMatchObject([{ model: 'demo', messages: [user('Hello')], stream: true }]);
    expect(completions.adoptions).toEqual([TURN]);
    expect(completions.problems).toEqual([]);
  });

  it('goes to the model with the whole conversation before it', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const first = await dead.start(SESSION, TURN);
    const completed = turnCompleted(first, { messages: [assistant('Hi.')] });
    const head = await stage.backend.append(completed);
    await dead.process.claims.release({
      ...{ sessionId: SESSION, turnId: TURN, epoch: first, head },
      answeredBy: null,
    });
    const second = await dead.claim(SESSION, id(9));
    const system = [{ role: 'system' as const, content: 'Be brief.' }];
    const { address: runner } = dead.process;
    const messages = [user('More')];
    await stage.backend.append(
      turnStarted(second, { turn: id(9), after: 1, keeps: 2, messages, system, runner }),
    );
    const { model } = await survivor();
    await eventually(() => expect(model.asked).toHaveLength(1));
    await released();
    expect(model.asked).toMatchObject([
      { messages: [...system, user('Hello'), assistant('Hi.'), user('More')] },
    ]);
  });

  // [SBP-L4-03]
  it('is adapted to the surface that is attached when it is adopted', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await dead.start(SESSION, TURN);
    const context = { ui_capabilities: [], max_output_tokens: 50 };
    await stage.backend.append(surfaceAttached(id(8), { context }));
    const { model } = await survivor();
    await eventually(() => expect(model.asked).toHaveLength(1));
    await released();
    const content = 'Answer in plain text, without Markdown.';
    const messages = [{ role: 'system', content }, user('Hello')];
    expect(model.asked).toMatchObject([{ messages, max_tokens: 50 }]);
  });

  // [SBP-L1-80]
  it('is sent no longer conversation than the first attempt was', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const first = await dead.start(SESSION, TURN, [user('word '.repeat(400))]);
    const completed = turnCompleted(first, { messages: [assistant('Hi.')] });
    const head = await stage.backend.append(completed);
    await dead.process.claims.release({
      ...{ sessionId: SESSION, turnId: TURN, epoch: first, head },
      answeredBy: null,
    });
    const second = await dead.claim(SESSION, id(9));
    const { address: runner } = dead.process;
    const more = { turn: id(9), after: 1, keeps: 2, messages: [user('More')], runner };
    await stage.backend.append(turnStarted(second, more));
    const { model } = await survivor({ contextTokens: [['*', 300]] });
    await eventually(() => expect(model.asked).toHaveLength(1));
    await released();
    expect(model.asked).toMatchObject([{ messages: [user('More')] }]);
  });

  it('that nobody holds a claim for any more is adopted too', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await stage.backend.append(...dead.started(SESSION, TURN, 10));
    await survivor();
    await folded({ turn: null, steps: 1 });
  });

  it('and that had ended is not run again: it is owed, and the claim released', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const epoch = await dead.start(SESSION, TURN);
    await stage.backend.append(turnCompleted(epoch));
    const { model } = await survivor();
    await released();
    expect(model.asked).toEqual([]);
    expect((await stage.types()).slice(2)).toEqual([
      'turn.completed',
      'turn.adopted',
      'turn.undelivered',
    ]);
    await folded({ steps: 1, head: 1 });
  });

  it('and that never began opens no session, also when its opening comes late', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const epoch = await dead.open(SESSION, TURN);
    const { model } = await survivor();
    await released();
    await stage.backend.append(...dead.started(SESSION, TURN, epoch));
    expect(await stage.backend.sessions.state(SESSION)).toMatchObject({ phase: 'unopened' });
    expect(await stage.backend.freshness.presence(SESSION)).toBe('absent');
    expect(model.asked).toEqual([]);
  });

  it('three times after its adoption is given up: it may be what kills them', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const epoch = await dead.start(SESSION, TURN);
    const { address: runner } = dead.process;
    const adopted = (more: number) => turnAdopted(epoch + more, { runner });
    await stage.backend.append(adopted(1), adopted(2), adopted(3));
    const { model } = await survivor();
    await released();
    expect(model.asked).toEqual([]);
    expect((await stage.backend.events()).at(-1)).toMatchObject({
      type: 'turn.failed',
      data: { code: 'SBP_TURN_ABANDONED', caller: 'gone' },
    });
  });

  it('is not given up where its last runner only handed it over', async () => {
    const dead = await DeadProcess.on(stage.backend);
    const epoch = await dead.start(SESSION, TURN);
    const { address: runner, heartbeat } = dead.process;
    const adopted = (more: number) => turnAdopted(epoch + more, { runner });
    await stage.backend.append(adopted(1), adopted(2), adopted(3));
    await heartbeat.leave();
    const { completions } = await survivor();
    await folded({ turn: null, steps: 1 });
    expect(completions.adoptions).toEqual([TURN]);
    expect(await stage.backend.events()).toContainEqual(
      expect.objectContaining({
        type: 'turn.adopted',
        data: { runner: completions.process.address, handed_over: true },
      }),
    );
  });

  it('is not left to a living process that failed to go on with it', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await dead.start(SESSION, TURN);
    const reads = new InterruptedReads(stage.backend.database);
    reads.failures = 1;
    const { completions } = await survivor({ replaced: [{ part: SessionReads, by: () => reads }] });
    await folded({ turn: null, steps: 1 });
    await released();
    expect(completions.problems).toEqual([
      'a turn was not taken over: Error: the database is away',
    ]);
    expect((await stage.types()).filter((type) => type === 'turn.completed')).toHaveLength(1);
  });
});

describe('a turn that is no orphan', () => {
  it('has just ended and is not folded yet', async () => {
    const { backend } = stage;
    const dead = await DeadProcess.on(backend);
    const epoch = await dead.start(SESSION, TURN);
    const { goOn } = backend.holdFold();
    const outcome = await backend.log.append([turnCompleted(epoch)]);
    if (outcome.type !== 'appended') throw new Error(outcome.detail);
    const { offset: head } = outcome.position;
    const release = { sessionId: SESSION, turnId: TURN, epoch, head, answeredBy: null };
    await dead.process.claims.release(release);
    await survivor();
    await scans(3);
    goOn();
    await folded({ turn: null, steps: 1 });
    await scans(2);
    expect(await stage.types()).toEqual(['session.opened', 'turn.started', 'turn.completed']);
  });

  it('has a runner whose beat rises, whatever the clock of the database says', async () => {
    const { backend } = stage;
    const beat = async ({ incarnation }: DeadProcess, heartbeatAt: number): Promise<void> => {
      await backend.database.write(
        (writer) => sql(writer)`UPDATE processes SET beat = beat + ${heartbeatAt === 0 ? 1 : 0},
          heartbeat_at = ${heartbeatAt} WHERE incarnation = ${incarnation}`,
      );
    };
    const [living, dead] = [await DeadProcess.on(backend), await DeadProcess.on(backend)];
    await living.start(id(1), id(11));
    await dead.start(id(2), id(12));
    // One looks silent by the clock and beats; the other looks alive by the clock and does not.
    await beat(living, 0);
    await beat(dead, Date.now() + 3_600_000);
    const beating = setInterval(() => void beat(living, 0), 200);
    try {
      const { completions } = await survivor({ options: { othersDead: false } });
      await folded({ turn: null, steps: 1 }, id(2));
      await scans(3);
      expect(completions.adoptions).toEqual([id(12)]);
      expect(await stage.types(id(1))).toEqual(['session.opened', 'turn.started']);
      expect(await backend.claims.inspect(id(1))).toMatchObject({ turnId: id(11) });
    } finally {
      clearInterval(beating);
    }
  });
});

describe('many orphans', () => {
  const ORPHANS = 300;
  const MAX_TAKEOVERS = 64;

  it('are all taken over within a few scans, though their runs never end', async () => {
    const { backend } = stage;
    const dead = await DeadProcess.on(backend);
    for (let orphan = 1; orphan <= ORPHANS; orphan++)
      await dead.start(id(orphan), id(0x1000 + orphan));
    let adopting = 0;
    const gate = Promise.withResolvers<undefined>();
    backend.log.obstacle = async ([{ type }]) => {
      if (type !== 'turn.adopted') return;
      adopting++;
      await gate.promise;
    };
    const model = new TestModel();
    model.answer = neverAnswer;
    const { completions } = await survivor({ model });
    await eventually(() => expect(adopting).toBe(MAX_TAKEOVERS));
    await scans(2);
    // Takeovers in progress are bounded; runs are not.
    expect(adopting).toBe(MAX_TAKEOVERS);
    const looks = vi.spyOn(backend.processes, 'signs');
    gate.resolve(undefined);
    await eventually(() => expect(model.asked).toHaveLength(ORPHANS));
    expect(looks.mock.calls.length).toBeLessThan(20);
    expect(new Set(completions.adoptions).size).toBe(ORPHANS);
    expect(completions.problems).toEqual([]);
  });
});

describe('an answer that a process gave just before it died', () => {
  /** A turn that ended, and whose caller was about to be answered. */
  async function answered(dead: DeadProcess, sessionId: string, turnId: string): Promise<void> {
    const epoch = await dead.start(sessionId, turnId);
    const completed = turnCompleted(epoch, { session: sessionId, turn: turnId });
    const head = await stage.backend.append(completed);
    const { incarnation: answeredBy } = dead;
    await dead.process.claims.release({ sessionId, turnId, epoch, head, answeredBy });
  }

  async function reaped({ incarnation }: DeadProcess): Promise<void> {
    await eventually(async () => {
      const signs = await stage.backend.processes.signs();
      expect(signs).toContainEqual(expect.objectContaining({ incarnation, reaped: true }));
    });
  }

  it('is owed to a surface, once, and its process is done with', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await answered(dead, SESSION, TURN);
    await survivor();
    await folded({ head: 1 });
    await reaped(dead);
    await scans(2);
    expect((await stage.types()).filter((type) => type === 'turn.undelivered')).toHaveLength(1);
  });

  it('is not owed where it was confirmed', async () => {
    const dead = await DeadProcess.on(stage.backend);
    await answered(dead, id(1), id(11));
    await answered(dead, id(2), id(12));
    const { unconfirmed } = dead.process;
    unconfirmed.confirm({ sessionId: id(1), turnId: id(11), incarnation: dead.incarnation });
    await unconfirmed.flush();
    await survivor();
    await folded({ head: 1 }, id(2));
    await reaped(dead);
    expect(await stage.types(id(1))).not.toContain('turn.undelivered');
  });

  it('is not owed while its process lives', async () => {
    const [living, dead] = [
      await DeadProcess.on(stage.backend),
      await DeadProcess.on(stage.backend),
    ];
    await answered(living, id(1), id(11));
    await answered(dead, id(2), id(12));
    living.process.heartbeat.start();
    await survivor({ options: { othersDead: false } });
    await folded({ head: 1 }, id(2));
    await scans(2);
    expect(await stage.types(id(1))).not.toContain('turn.undelivered');
    await living.process.heartbeat.leave();
    // Now it is known to be dead, too.
    await folded({ head: 1 }, id(1));
  });
});
