import { describe, expect, it } from 'vitest';
import { StorageFault } from '#libs/sql';
import { Orphans, SessionReads } from '#libs/store';
import { TestProcess } from '#libs/testing';
import { assistant, turnAdopted, turnCompleted, turnWithdrawn } from '#libs/domain/testing';
import type { TestCompletions } from '../testing/test-completions.js';
import { TestCaller } from '../testing/test-caller.js';
import { TestModel, answerWith, neverAnswer, streamWith } from '../testing/test-model.js';
import { DeadProcess } from '../testing/dead-process.js';
import { eventually, useStage } from '../testing/test-stage.js';

const stage = useStage();
/** After this long without a heartbeat others count a process as dead, in ms. */
const LEASE_MS = 4_000;

/** The one open turn. */
async function openTurn() {
  const events = await stage.backend.events();
  const started = events.find(({ type }) => type === 'turn.started');
  if (started?.type !== 'turn.started') throw new Error('no turn has started');
  const { session_id: sessionId, turn_id: turnId, epoch } = started;
  return { sessionId, turnId, epoch };
}

/** A process with a turn whose model does not answer. */
async function running(model = new TestModel(), reads?: SessionReads) {
  model.answer = neverAnswer;
  const replaced = reads === undefined ? [] : [{ part: SessionReads, by: () => reads }];
  const completions = await stage.start({ model, replaced });
  const caller = new TestCaller();
  const turn = completions.turn({}, caller);
  await eventually(async () => expect(await stage.types()).toContain('turn.started'));
  await eventually(() => expect(model.asked).toHaveLength(1));
  return { completions, model, caller, turn, ...(await openTurn()) };
}

/** Another process wins the claim, at a higher epoch, which it gives. */
async function takeOver(completions: TestCompletions): Promise<number> {
  const { sessionId, turnId, epoch } = await openTurn();
  const rival = await TestProcess.on(stage.backend);
  rival.claims.inUse.begin(turnId);
  rival.heartbeat.start();
  const { incarnation } = completions.process.address;
  const orphans = new Orphans(stage.backend.database, rival.claims.inUse);
  const orphan = { sessionId, turnId, claim: { epoch, incarnation } };
  const higher = await orphans.adopt(orphan, rival.address, null);
  await rival.heartbeat.leave();
  if (higher === null) throw new Error('the claim was not won');
  return higher;
}

/** Another process wins the claim, and ends the turn with this text. */
async function finishedElsewhere(completions: TestCompletions, text: string): Promise<void> {
  const higher = await takeOver(completions);
  const { sessionId: session, turnId: turn } = await openTurn();
  await stage.backend.append(
    turnAdopted(higher, { session, turn }),
    turnCompleted(higher, { session, turn, messages: [assistant(text)] }),
  );
}

/** What the caller of a turn that goes on elsewhere is told: nothing that invites to ask again. */
function expectToldThatItGoesOn({ failure, session, seen }: TestCaller): void {
  expect(seen.at(-1)).toBe('fail SBP_UPSTREAM_UNAVAILABLE');
  expect(failure?.status('completions')).toBe(503);
  expect(failure?.headers()).toEqual({ 'x-should-retry': 'false' });
  expect(session).not.toBeNull();
}

describe('a turn of a process that ends', () => {
  it('is handed over: nothing is appended, it stays open, and its claim is held', async () => {
    const { completions, caller, turn, sessionId, turnId, epoch } = await running();
    await completions.close();
    await turn;
    expectToldThatItGoesOn(caller);
    expect(await stage.types()).toEqual(['session.opened', 'turn.started']);
    const state = await stage.backend.sessions.state(sessionId);
    expect(state).toMatchObject({ turn: { turnId, epoch } });
    expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId, epoch });
    // Its heart still beats, and does not let go of the claim.
    await beats(completions);
    expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId, epoch });
  });

  it('is adopted at once by another process when that one has left', async () => {
    const model = new TestModel();
    model.answer = () => answerWith('Adopted.');
    const adopter = await stage.start({ model });
    // It adopts only when it has looked at the others for long enough.
    const dead = await DeadProcess.on(stage.backend);
    await dead.open('3f2504e0-4f89-41d3-9a0c-0305e82c3301', '3f2504e0-4f89-41d3-9a0c-0305e82c3302');
    await eventually(async () => expect(await stage.types()).toContain('turn.adopted'));
    const { completions, turn, sessionId, turnId } = await running();
    await completions.close();
    await turn;
    expect(adopter.adoptions).toEqual([]);
    const left = performance.now();
    await completions.process.heartbeat.leave();
    await eventually(() => expect(adopter.adoptions).toEqual([turnId]));
    expect(performance.now() - left).toBeLessThan(LEASE_MS / 2);
    await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      expect(state).toMatchObject({ turn: null, steps: 1, head: 1 });
    });
  });
});

describe('a run that throws', () => {
  it('leaves its claim to the heartbeat, which lets it go, so that the turn is adopted', async () => {
    const model = new TestModel();
    const completions = await stage.start({ model });
    let failures = 1;
    stage.backend.log.obstacle = ([{ type }]) =>
      type === 'turn.completed' && failures-- > 0
        ? Promise.reject(new Error('a fault'))
        : Promise.resolve();
    const caller = await completions.turn();
    expectToldThatItGoesOn(caller);
    const { sessionId, turnId, epoch } = await openTurn();
    expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId, epoch });
    expect(completions.problems).toEqual([
      `turn ${turnId} of session ${sessionId} was not finished: Error: a fault`,
    ]);
    await eventually(async () => {
      expect(await stage.backend.claims.inspect(sessionId)).toMatchObject({ turnId: null });
    });
    await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      expect(state).toMatchObject({ turn: null, steps: 1, head: 1 });
    });
    expect(completions.adoptions).toEqual([turnId]);
    expect(model.asked).toHaveLength(2);
  });
});

describe('a turn whose claim another process has won', () => {
  // [SBP-L1-44]
  it('is given up while its model is read; its caller gets what the other one makes of it', async () => {
    const { completions, caller, turn } = await running();
    await finishedElsewhere(completions, 'Adopted.');
    await turn;
    expect(caller.seen).toEqual(['answer with sbp']);
    expect(caller.body).toMatchObject({ choices: [{ message: { content: 'Adopted.' } }] });
    expect(await stage.types()).toEqual([
      ...['session.opened', 'turn.started', 'turn.adopted', 'turn.completed'],
    ]);
  });

  // [SBP-L1-44]
  it.each([
    ['goes on in the stream where what was sent is its beginning', 'It is late.', 'done'],
    [
      'breaks the stream off where it is another one',
      'Not at all.',
      'fail SBP_UPSTREAM_UNAVAILABLE',
    ],
  ])('%s', async (_, text, last) => {
    const model = new TestModel();
    model.answer = ({ signal }) => streamWith(signal, 'It ', 'is ');
    const completions = await stage.start({ model });
    const caller = new TestCaller();
    const turn = completions.turn({ stream: true }, caller);
    await eventually(() => expect(caller.text).toBe('It is '));
    await finishedElsewhere(completions, text);
    await turn;
    expect(caller.seen.at(-1)).toBe(last);
    expect(caller.text).toBe(last === 'done' ? text : 'It is ');
  });

  it('has no answer to give where the other one came first in the log [A3]', async () => {
    const { model, completions, caller, turn } = await answering();
    await finishedElsewhere(completions, 'Adopted.');
    model.goOn();
    await turn;
    expect(caller.body).toMatchObject({ choices: [{ message: { content: 'Adopted.' } }] });
  });

  it('answers its caller where its end came first in the log [A3]', async () => {
    const { model, completions, caller, turn } = await answering();
    await takeOver(completions);
    model.goOn();
    await turn;
    expect(caller.seen).toEqual(['answer with sbp']);
    const { sessionId } = await openTurn();
    expect(await stage.backend.sessions.state(sessionId)).toMatchObject({ turn: null, steps: 1 });
  });
});

/** Reads of turns that fail while a test says so. */
class FaultyReads extends SessionReads {
  fault: Error | null = null;
  failed = 0;
  /** By the epochs that they had, how often turns were found. */
  readonly found = new Map<number, number>();

  override async attempt(...read: Parameters<SessionReads['attempt']>) {
    if (this.fault !== null) {
      this.failed += 1;
      throw this.fault;
    }
    const turn = await super.attempt(...read);
    if (turn !== null) this.found.set(turn.epoch, (this.found.get(turn.epoch) ?? 0) + 1);
    return turn;
  }
}

const AWAY = new StorageFault('unavailable', 'away');

// [SBP-L1-41]
describe('a caller whose turn goes on in another process', () => {
  /** He waits in this process for its end. */
  async function waiting() {
    const reads = new FaultyReads(stage.backend.database);
    const { completions, caller, turn } = await running(new TestModel(), reads);
    const higher = await takeOver(completions);
    const { sessionId: session, turnId } = await openTurn();
    await stage.backend.append(turnAdopted(higher, { session, turn: turnId }));
    // Once by the run, which ends; then by whoever follows the turn for him.
    await eventually(() => expect(reads.found.get(higher)).toBeGreaterThan(1));
    return { completions, caller, turn, reads };
  }

  it('is not invited to ask again where the database is away meanwhile', async () => {
    const { completions, caller, turn, reads } = await waiting();
    reads.fault = AWAY;
    await turn;
    expectToldThatItGoesOn(caller);
    expect(completions.problems).toEqual([expect.stringMatching(/^the caller of turn .*: away/)]);
  });

  it('is not invited to ask again where this process ends meanwhile', async () => {
    const { completions, caller, turn } = await waiting();
    await completions.close();
    await turn;
    expectToldThatItGoesOn(caller);
  });
});

describe('a turn that waits no more, while the database is away', () => {
  it('is looked for again, before its caller is told what became of it', async () => {
    const reads = new FaultyReads(stage.backend.database);
    const { completions, sessionId } = await running(new TestModel(), reads);
    const caller = new TestCaller();
    const turn = completions.turn({ sbp: { session_id: sessionId } }, caller);
    const waits = await eventually(async () => {
      const state = await stage.backend.sessions.state(sessionId);
      const [first] = state.phase === 'open' ? state.waiting : [];
      if (first === undefined) throw new Error('nothing waits');
      return first.turnId;
    });
    reads.fault = AWAY;
    await stage.backend.append(turnWithdrawn({ session: sessionId, turn: waits }));
    await eventually(() => expect(reads.failed).toBeGreaterThan(1));
    expect(caller.seen).toEqual([]);
    reads.fault = null;
    await turn;
    expect(caller.seen).toEqual(['fail SBP_TURN_CANCELLED']);
  });
});

/** A process whose turn is about to end: its log takes the end when it is told to. */
async function answering() {
  const held = Promise.withResolvers<undefined>();
  const arrived = Promise.withResolvers<undefined>();
  stage.backend.log.obstacle = async ([{ type }]) => {
    if (type !== 'turn.completed') return;
    arrived.resolve(undefined);
    await held.promise;
  };
  const completions = await stage.start({ model: new TestModel() });
  const caller = new TestCaller();
  const turn = completions.turn({}, caller);
  await arrived.promise;
  return { completions, caller, turn, model: { goOn: () => held.resolve(undefined) } };
}

/** Waits until the process has shown twice more that it lives. */
async function beats(completions: TestCompletions): Promise<void> {
  const { incarnation } = completions.process.address;
  const beatOf = async (): Promise<number> => {
    const signs = await stage.backend.processes.signs();
    return signs.find((sign) => sign.incarnation === incarnation)?.beat ?? Number.NaN;
  };
  const before = await beatOf();
  await eventually(async () => expect(await beatOf()).toBeGreaterThanOrEqual(before + 2));
}
