import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKafka, startPostgres } from '../../tools/infrastructure/index.js';
import type { KafkaCluster, Postgres } from '../../tools/infrastructure/index.js';
import type { Stack } from '../../tools/stack/index.js';
import { startStack } from '../../tools/stack/index.js';
import { guardFolder, takenAway } from '../../tools/supervise/index.js';
import type { SupervisedProcess } from '../../tools/supervise/index.js';
import { Agent, saidIn, steered } from './clients/agent.js';
import type { Answer } from './clients/agent.js';
import { EveryRequest } from './clients/every-request.js';
import { Surface } from './clients/surface.js';
import { eventually } from './clients/waiting.js';
import { incompletePartitions } from './topology/brokers.js';
import { SETTINGS } from './topology/settings.js';

/*
 * What lies under the services is taken away: a broker of three, all of them, a broker's disk, the
 * database. Whoever asks meanwhile is served or told so, and nobody is told what is not true.
 */

/** How long something is away, in ms: longer than any deadline that a request could hide behind. */
const AWAY_MS = 20_000;
const PATIENCE = { timeout: 180_000 };

let folder: string;
let kafka: KafkaCluster;
let postgres: Postgres;
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'statebridge-outages-'));
  guardFolder(folder);
  [kafka, postgres] = await Promise.all([
    startKafka({ dataDir: path.join(folder, 'kafka'), brokers: 3 }),
    startPostgres({ dataDir: path.join(folder, 'postgres') }),
  ]);
  stack = await startStack({
    dataDir: path.join(folder, 'stack'),
    restart: false,
    replicas: { completions: 2, gateway: 1, sessions: 2, roaming: 1 },
    env: { ...SETTINGS, SBP_KAFKA_REPLICATION: '3', SBP_KAFKA_MIN_ISR: '2' },
    infrastructure: { kafkaBrokers: kafka.brokers, postgresUrl: postgres.url },
    topicPrefix: 'outages',
    database: 'outages',
  });
}, 240_000);

afterAll(async () => {
  await stack.stop();
  await Promise.all([kafka.stop({ discard: true }), postgres.stop({ discard: true })]);
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** Agents that ask all the time, one question after the other, until they are told to end. */
class Load {
  readonly answers: Answer[] = [];
  private readonly ending = new AbortController();
  private readonly asking: Promise<void>;
  /** What was answered, by the session. */
  readonly said = new Map<string, string[]>();

  constructor(agents: number) {
    const each = Array.from({ length: agents }, () => this.ask(new Agent(stack.url)));
    this.asking = Promise.all(each).then(() => undefined);
  }

  /** Until a question was answered with success. */
  async answered(): Promise<void> {
    await eventually(() => expect(this.said.size).toBeGreaterThan(0));
  }

  async end(): Promise<void> {
    this.ending.abort();
    await this.asking;
  }

  private async ask(agent: Agent): Promise<void> {
    while (!this.ending.signal.aborted) {
      const content = `Question ${randomUUID()}`;
      const messages = [{ role: 'user', content }];
      const headers = { 'idempotency-key': randomUUID() };
      const answer = await agent.post({ model: 'm', messages, sbp: {} }, headers);
      this.answers.push(answer);
      if (answer.status === 200) {
        const { sbp } = answer.json as { sbp: { session_id: string } };
        this.said.set(sbp.session_id, [...(this.said.get(sbp.session_id) ?? []), content]);
      } else await delay(100);
    }
  }
}

/** Takes these away for a while, and gives them back. */
function without(
  victims: readonly SupervisedProcess[],
  ms: number,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  return takenAway(victims, () => Promise.all([delay(ms), meanwhile()]));
}

/** Each question that was answered 200 stands in its session, once and in order. */
async function foundIn(load: Load): Promise<void> {
  expect(load.said.size).toBeGreaterThan(0);
  const agent = new Agent(stack.url);
  for (const [sessionId, questions] of load.said) {
    const asked = saidIn(await agent.messages(sessionId)).filter((text) => text.startsWith('user'));
    const known = asked.filter((text) => questions.includes(text.slice('user: '.length)));
    expect(known).toEqual(questions.map((question) => `user: ${question}`));
  }
}

/** Nothing but success and honest refusals: 503 that say when to come again. */
function honest(answers: readonly Answer[]): void {
  const others = answers.filter(({ status }) => status !== 200);
  const dishonest = others.filter(
    ({ status, headers }) => status !== 503 || headers.get('retry-after') === null,
  );
  expect(dishonest.map(({ status, text }) => ({ status, text }))).toEqual([]);
}

const goesOn = () =>
  eventually(async () => {
    const agent = new Agent(stack.url);
    await agent.turn('Hello again.');
  });

/** The load's own requests may all have begun before, and wait. */
const isToldLater = () =>
  eventually(async () => {
    const messages = [{ role: 'user', content: 'Hello?' }];
    const { status } = await new Agent(stack.url).post({ model: 'm', messages, sbp: {} });
    expect(status).toBe(503);
  });

// [SBP-OPS-10]
describe('three brokers', () => {
  it(
    'of which one dies and comes back lose nothing, and keep nobody waiting for ever',
    PATIENCE,
    async () => {
      const load = new Load(4);
      await load.answered();
      for (const broker of kafka.processes) await without([broker], 2_000);
      await load.end();
      honest(load.answers);
      await foundIn(load);
      await goesOn();
    },
  );

  it('of which one has lost its disk have every record still', PATIENCE, async () => {
    const load = new Load(2);
    await load.answered();
    await kafka.loseDisk('kafka-2');
    await load.end();
    honest(load.answers);
    // Its copies are whole again, so another one may go.
    const [, , third] = kafka.processes;
    await eventually(async () =>
      expect(await incompletePartitions(kafka.brokers, 'outages.turns')).toEqual([]),
    );
    await without(third === undefined ? [] : [third], 2_000, goesOn);
    await foundIn(load);
  });
});

// [SBP-OPS-10]
describe('while all brokers are away', () => {
  it(
    'each turn is told 503 with Retry-After, and afterwards all goes on by itself',
    PATIENCE,
    async () => {
      const agent = new Agent(stack.url);
      const { sbp } = await agent.turn('Before.');
      const surface = await Surface.attach(stack.url, sbp);
      const load = new Load(4);
      await load.answered();
      const began = load.answers.length;
      await without(kafka.processes, AWAY_MS);
      const during = load.answers.slice(began);
      expect(during.filter(({ status }) => status === 503).length).toBeGreaterThan(0);
      await goesOn();
      await load.end();
      honest(load.answers);
      await foundIn(load);
      await agent.turn('After.', { session_id: sbp.session_id });
      expect((await surface.next('TURN_COMPLETE')).status).toBe('completed');
      await surface.detach();
    },
  );
});

// [SBP-OPS-10]
describe('while Postgres is away', () => {
  it(
    'turns that run are answered or kept, others are told 503, and all goes on by itself',
    PATIENCE,
    async () => {
      const agent = new Agent(stack.url);
      const { sbp } = await agent.turn('Before.');
      const running = agent.post({
        model: 'm',
        messages: [{ role: 'user', content: steered('ttft=4000', 'The long one.') }],
        sbp: { session_id: sbp.session_id },
      });
      await eventually(async () => {
        expect((await agent.session(sbp.session_id)).turn_in_flight).not.toBeNull();
      });
      const load = new Load(4);
      await load.answered();
      await without([postgres.process], AWAY_MS, isToldLater);
      await goesOn();
      await load.end();
      honest(load.answers);
      await foundIn(load);
      await running;
      await eventually(async () => {
        expect((await agent.session(sbp.session_id)).turn_in_flight).toBeNull();
      });
      const said = saidIn(await agent.messages(sbp.session_id));
      expect(said.filter((text) => text.startsWith('user'))).toHaveLength(2);
    },
  );
});

// [SBP-ERR-08] [SBP-OPS-10]
describe('every request is answered or told 503 with Retry-After, in time', () => {
  it.each([
    ['all brokers', () => kafka.processes],
    // The third one leads some partitions, and may take no appends alone.
    ['two brokers of three', () => kafka.processes.slice(1)],
    ['Postgres', () => [postgres.process]],
  ])('while %s cannot be reached', PATIENCE, async (_, victims) => {
    const requests = await EveryRequest.prepare(stack.url);
    await takenAway(victims(), () => requests.askHonestly());
    await goesOn();
    await requests.askUntilServed();
  });
});
