import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  SESSION,
  TURN,
  assistant,
  id,
  sessionOpened,
  turnAdopted,
  turnCompleted,
  turnStarted,
  user,
} from '#libs/domain/testing';
import type { SessionState } from '#libs/domain';
import type { ModelRequest, ModelResponse } from '#libs/llm';
import { ChatModel, PriceList } from '#libs/llm';
import { InProcessMailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { Heartbeat, ProcessIdentity, SessionReads } from '#libs/store';
import type { CompletionsOptions } from '../completions-options.js';
import { LiveTurns } from '#libs/live';
import { ModelAnswerReader } from '../model/model-answer.js';
import { OrphanScan } from './orphan-scan.js';
import { SessionReleases } from '../claim/session-releases.js';
import { TestBackend } from '../testing/test-backend.js';
import { TurnFacts } from '../turn/turn-facts.js';
import { TurnRunner } from '../turn/turn-runner.js';

/** A model that always answers the same, and remembers what it was asked. */
class RememberingModel extends ChatModel {
  override readonly description = 'remembering';
  readonly asked: unknown[] = [];

  override complete({ body }: ModelRequest): Promise<ModelResponse> {
    this.asked.push(JSON.parse(Buffer.from(body).toString()));
    async function* answer() {
      await Promise.resolve();
      yield Buffer.from(
        '{"model":"m","choices":[{"message":{"role":"assistant","content":"Adopted."}}]}',
      );
    }
    return Promise.resolve({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: answer(),
    });
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Reads whose database goes away for a moment. */
class InterruptedReads extends SessionReads {
  failures = 0;

  override state(sessionId: string): Promise<SessionState> {
    if (this.failures-- > 0) return Promise.reject(new Error('the database is away'));
    return super.state(sessionId);
  }
}

let backend: TestBackend;
let reads: InterruptedReads;
let model: RememberingModel;
let dead: ProcessAddress;
let problems: string[];
let adoptions: string[];
let stop: () => Promise<void>;

beforeEach(async () => {
  backend = await TestBackend.open();
  reads = new InterruptedReads(backend.database);
  model = new RememberingModel();
  problems = [];
  adoptions = [];
  stop = () => Promise.resolve();
  dead = await backend.processes.lease(randomUUID());
});
afterEach(async () => {
  await stop();
  await backend.close();
});

/** A process starts, for which every other one is known to be dead. */
async function scan(): Promise<ProcessAddress> {
  const identity = new ProcessIdentity(await backend.processes.lease(randomUUID()));
  const mailbox = new InProcessMailbox((problem) => void problems.push(problem));
  const live = new LiveTurns(mailbox);
  const facts = new TurnFacts(backend.log, identity);
  const releases = new SessionReleases(backend.claims);
  const reader = new ModelAnswerReader(model, new PriceList([]));
  const runner = new TurnRunner(facts, releases, backend.freshness, reads, model, reader, live);
  const heartbeat = new Heartbeat(backend.processes, identity, {
    onRefused: () => void problems.push('the heartbeat was refused'),
    onFailed: () => void problems.push('the heartbeat failed'),
  });
  const options: CompletionsOptions = {
    track: 'opt-in',
    implicitSession: true,
    othersDead: true,
    onProblem: (what, error) => void problems.push(`${what}: ${String(error)}`),
    onAdopted: (_sessionId, turnId) => void adoptions.push(turnId),
  };
  const { claims, processes, freshness, log } = backend;
  const scanner = new OrphanScan(
    ...([
      claims,
      processes,
      identity,
      heartbeat,
      freshness,
      reads,
      facts,
      releases,
      runner,
      live,
      log,
      options,
    ] as const),
  );
  scanner.onModuleInit();
  stop = async () => {
    await scanner.onModuleDestroy();
    await mailbox.close();
  };
  return identity.address;
}

/** The dead process has claimed the session for the turn. */
async function claimed(): Promise<number> {
  const outcome = await backend.claims.claim({ sessionId: SESSION, turnId: TURN, runner: dead });
  if (outcome.type === 'refused') throw new Error('it was refused');
  return outcome.epoch;
}

const started = (epoch: number) =>
  [sessionOpened(epoch), turnStarted(epoch, { runner: dead, messages: [user('Hello')] })] as const;

async function released(): Promise<void> {
  await vi.waitFor(
    async () => expect(await backend.claims.inspect(SESSION)).toMatchObject({ turnId: null }),
    {
      timeout: 20_000,
    },
  );
}

async function types(): Promise<string[]> {
  return (await backend.facts()).map(({ type }) => type);
}

describe('a turn whose runner died', () => {
  it('is adopted, run again, and its answer owed: its caller is gone [A6]', async () => {
    await backend.append(...started(await claimed()));
    const me = await scan();
    await vi.waitFor(async () => expect(await types()).toContain('turn.completed'), {
      timeout: 20_000,
    });
    await released();
    expect((await types()).slice(0, 4)).toEqual([
      'session.opened',
      'turn.started',
      'turn.adopted',
      'turn.completed',
    ]);
    expect(await backend.facts()).toContainEqual(
      expect.objectContaining({ type: 'turn.adopted', data: { runner: me } }),
    );
    expect(await reads.state(SESSION)).toMatchObject({ turn: null, steps: 1, head: 1 });
    expect(model.asked).toMatchObject([{ model: 'demo', messages: [user('Hello')], stream: true }]);
    expect(adoptions).toEqual([TURN]);
    expect(problems).toEqual([]);
  });

  it('goes to the model with the whole conversation before it', async () => {
    const first = await claimed();
    await backend.append(...started(first), turnCompleted(first, { messages: [assistant('Hi.')] }));
    await backend.claims.release(SESSION, first, 2);
    const second = await claimed();
    const system = [{ role: 'system' as const, content: 'Be brief.' }];
    await backend.append(
      turnStarted(second, {
        turn: id(9),
        keeps: 2,
        messages: [user('More')],
        system,
        runner: dead,
      }),
    );
    await scan();
    await vi.waitFor(() => expect(model.asked).toHaveLength(1), { timeout: 20_000 });
    await released();
    expect(model.asked).toMatchObject([
      { messages: [...system, user('Hello'), assistant('Hi.'), user('More')] },
    ]);
  });

  it('that nobody holds a claim for any more is adopted too', async () => {
    await backend.append(...started(10));
    await scan();
    await vi.waitFor(async () => expect(await types()).toContain('turn.completed'), {
      timeout: 20_000,
    });
  });

  it('and that had ended is not run again: the claim is released', async () => {
    const epoch = await claimed();
    await backend.append(...started(epoch), turnCompleted(epoch));
    await scan();
    await released();
    expect(model.asked).toEqual([]);
    expect((await types()).slice(2)).toEqual(['turn.completed', 'turn.adopted']);
  });

  it('and that never began opens no session, also when its opening comes late', async () => {
    const epoch = await claimed();
    await scan();
    await released();
    await backend.append(...started(epoch));
    expect(await reads.state(SESSION)).toMatchObject({ phase: 'unopened' });
    expect(await backend.freshness.settle(SESSION)).toBe('absent');
    expect(model.asked).toEqual([]);
  });

  it('three times after its adoption is given up: it may be what kills them', async () => {
    const epoch = await claimed();
    const adopted = [1, 2, 3].map((more) => turnAdopted(epoch + more, { runner: dead }));
    await backend.append(...started(epoch), ...adopted);
    await scan();
    await vi.waitFor(async () => expect(await types()).toContain('turn.failed'), {
      timeout: 20_000,
    });
    await released();
    expect(model.asked).toEqual([]);
    expect((await backend.facts()).at(-1)).toMatchObject({
      type: 'turn.failed',
      data: { error: { code: 'SBP_TURN_ABANDONED' }, caller: 'gone' },
    });
  });

  it('is not left to a living process that failed to go on with it', async () => {
    await backend.append(...started(await claimed()));
    reads.failures = 1;
    await scan();
    await vi.waitFor(async () => expect(await types()).toContain('turn.completed'), {
      timeout: 20_000,
    });
    await released();
    expect(problems).toEqual(['an adopted turn failed: Error: the database is away']);
    expect((await types()).filter((type) => type === 'turn.completed')).toHaveLength(1);
  });
});

describe('an answer that a process gave just before it died', () => {
  it('is owed to a surface, once', async () => {
    const epoch = await claimed();
    const at = new Date().toISOString();
    await backend.append(...started(epoch), turnCompleted(epoch, { at }));
    await backend.claims.release(SESSION, epoch, 2);
    await scan();
    await vi.waitFor(async () => expect(await types()).toContain('turn.undelivered'), {
      timeout: 20_000,
    });
    await vi.waitFor(async () => expect(await reads.state(SESSION)).toMatchObject({ head: 1 }), {
      timeout: 20_000,
    });
    await vi.waitFor(
      async () => expect(await backend.processes.unreaped(dead, false)).toEqual([]),
      {
        timeout: 20_000,
      },
    );
    expect((await types()).filter((type) => type === 'turn.undelivered')).toHaveLength(1);
  });
});
