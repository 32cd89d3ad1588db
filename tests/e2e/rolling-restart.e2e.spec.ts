import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../tools/infrastructure/index.js';
import { startStack } from '../../tools/stack/index.js';
import type { ServiceProcess, Stack } from '../../tools/stack/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent } from './clients/agent.js';
import { StayingSurface } from './clients/staying-surface.js';
import { Surface } from './clients/surface.js';
import type { SessionKey } from './clients/surface.js';
import { LastingTurn } from './clients/lasting-turn.js';
import { eventually } from './clients/waiting.js';
import { embeddedProgram } from './topology/embedded.js';
import { sharedStack } from './topology/stack.js';

/** The services that a conversation needs, and those that only read its events. */
const NEEDED = ['completions', 'sessions', 'gateway', 'roaming'] as const;
const READING = ['audit', 'analytics'] as const;
const GOING_AWAY = 1012;
/** Turns that a stopping process lets end, and turns that it hands over after 6 s. */
const LENGTHS_MS = [2_000, 5_000, 8_000, 10_000];
/** After so long a process that says nothing counts as dead. */
const LEASE_MS = 4_000;

let dataDir: string;
let stack: Stack;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-rolling-'));
  guardFolder(dataDir);
  stack = await startStack({
    ...sharedStack(dataDir, `rolling-${randomUUID()}`),
    restart: true,
    replicas: { completions: 2, gateway: 2, sessions: 2, roaming: 2, audit: 2, analytics: 2 },
  });
});

afterAll(async () => {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** What a client does all the time; throws where one step does not succeed. */
async function use(agent: Agent): Promise<void> {
  const { sbp } = await agent.turn('Hello.');
  expect(await agent.session(sbp.session_id)).toMatchObject({ step_count: 1 });
  expect((await agent.export(sbp.session_id, {})).status).toBe(201);
  expect((await agent.get('audit?limit=1')).status).toBe(200);
  expect((await agent.get('analytics/usage')).status).toBe(200);
  await attach(sbp);
}

/** A surface returns at once where its gateway goes away (1012), as the protocol tells it to. */
async function attach(key: SessionKey): Promise<void> {
  const surface = await Surface.connect(stack.url, key.session_id);
  surface.attach(key);
  try {
    await surface.next('SESSION_ATTACHED');
    await surface.close(1000);
  } catch (error) {
    if ((await surface.closed) !== GOING_AWAY) throw error;
    await attach(key);
  }
}

/** A session that is talked to all the time, with a surface that stays. */
class Watched {
  private constructor(
    private readonly agent: Agent,
    private readonly sessionId: string,
    private readonly surface: StayingSurface,
    private readonly turns: string[] = [],
  ) {}

  static async open(): Promise<Watched> {
    const agent = new Agent(stack.url);
    const { sbp } = await agent.turn('Hello.');
    return new Watched(agent, sbp.session_id, await StayingSurface.attach(stack.url, sbp));
  }

  async talk(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const { sbp } = await this.agent.turn('Go on.', { session_id: this.sessionId });
      this.turns.push(sbp.turn_id);
    }
  }

  /** The surface was told of each turn, by rising numbers and without a gap. */
  async expectFrames(): Promise<void> {
    const { read } = this.surface;
    await eventually(() => expect(read.size).toBeGreaterThanOrEqual(this.turns.length));
    expect([...read.keys()]).toEqual(this.turns.map((_, at) => at + 1));
    expect([...read.values()]).toEqual(this.turns);
    await this.surface.leave();
  }
}

/** Ends a replica as an operator does, and resolves when it serves again. */
async function restart(replica: ServiceProcess): Promise<void> {
  const { pid } = replica;
  const back = once(replica.events, 'ready');
  // Not by the supervisor, which would tell the front before.
  process.kill(pid, 'SIGTERM');
  await back;
  expect(replica.pid).not.toBe(pid);
}

describe('a rolling restart behind the front', () => {
  // A replica each of those that only read at a time.
  it.for([...NEEDED.map((service) => [service]), READING])(
    'of %s lets every request succeed',
    async (services) => {
      const replicas = services.map((service) =>
        stack.services.filter(({ kind }) => kind === service),
      );
      expect(replicas.map(({ length }) => length)).toEqual(services.map(() => 2));
      let over = false;
      let uses = 0;
      const client = async (): Promise<void> => {
        while (!over) {
          await use(new Agent(stack.url));
          uses += 1;
        }
      };
      const watched = await Watched.open();
      const clients = [client(), client(), watched.talk(() => over)];
      const work = Promise.all(clients);
      work.catch(() => undefined);
      for (const at of [0, 1]) {
        const before = uses;
        await expect.poll(() => uses, { timeout: 20_000 }).toBeGreaterThan(before + 2);
        const restarted = replicas.flatMap((each) => each.slice(at, at + 1)).map(restart);
        await Promise.race([Promise.all(restarted), work]);
      }
      over = true;
      await work;
      expect(uses).toBeGreaterThan(5);
      await watched.expectFrames();
    },
  );

  it.each(NEEDED)(
    'of %s fails no turn that runs, and loses no answer',
    async (service) => {
      const turns = LENGTHS_MS.flatMap((ms) => [
        LastingTurn.stream(stack.url, ms),
        LastingTurn.plain(stack.url, ms),
      ]);
      const ended = Promise.all(turns.map((turn) => turn.ended()));
      await Promise.all(turns.map((turn) => turn.begun()));
      for (const replica of stack.services.filter(({ kind }) => kind === service))
        await restart(replica);
      const endings = await ended;
      for (const turn of turns) await turn.expectAnswer();
      // Nothing but a completions process that stops leaves a turn to others.
      if (service !== 'completions') expect(new Set(endings)).toEqual(new Set(['answered']));
    },
    120_000,
  );
});

describe('an embedded server that is stopped and started again', () => {
  it('lets short turns end, and goes on with long ones at once', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-restart-'));
    guardFolder(folder);
    const server = embeddedProgram(folder, await freePort());
    await server.start();
    try {
      const short = [LastingTurn.stream(server.url, 3_000), LastingTurn.plain(server.url, 3_000)];
      const long = [LastingTurn.stream(server.url, 9_000), LastingTurn.plain(server.url, 9_000)];
      const ended = Promise.all([...short, ...long].map((turn) => turn.ended()));
      await Promise.all([...short, ...long].map((turn) => turn.begun()));
      await server.restart();
      const readyAt = performance.now();
      expect(await ended).toEqual(['answered', 'answered', 'told', 'told']);
      const surfaces = await Promise.all(
        long.map(async (turn) => Surface.attach(server.url, await turn.key())),
      );
      // A model that is asked for a stream shows its words as they come.
      await surfaces[0]?.next('TURN_CHUNK');
      // Long before a process that says nothing would count as dead.
      expect(performance.now() - readyAt).toBeLessThan(LEASE_MS);
      const completions = await Promise.all(
        surfaces.map((surface) => surface.next('TURN_COMPLETE')),
      );
      expect(completions.map(({ status }) => status)).toEqual(['completed', 'completed']);
      await Promise.all(surfaces.map((surface) => surface.detach()));
      for (const turn of [...short, ...long]) await turn.expectAnswer();
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('does not owe what came in full before', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-restart-'));
    guardFolder(folder);
    const server = embeddedProgram(folder, await freePort());
    await server.start();
    try {
      const { sbp } = await new Agent(server.url).turn('Hello.');
      await server.restart();
      const surface = await Surface.attach(server.url, sbp);
      expect(surface.attached.queued_turns).toBe(0);
      await surface.detach();
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
