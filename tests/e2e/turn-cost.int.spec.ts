import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { EventLog } from '#libs/event-log';
import { addressOf, createService, parseSettings } from '#libs/runtime';
import type { ServiceSpec, Settings } from '#libs/runtime';
import type { DatabaseCounts } from '#libs/sql';
import { Database } from '#libs/sql';
import { completionsService } from '../../apps/completions/src/service.js';
import { sbpServer } from '../../apps/sbp-server/src/service.js';
import { sessionsService } from '../../apps/sessions/src/service.js';
import { createDatabase } from '../../tools/infrastructure/index.js';
import { createTurnsTopic } from '../../tools/stack/topic.js';

/*
 * What one turn costs, as docs/architecture.md promises [A11]. Counts are exact: the heartbeats and
 * scans of every second are left out by taking the least of several turns.
 */

/** What was spent at a moment. */
interface Spent extends DatabaseCounts {
  readonly appends: number;
}

/** A model that answers at once, and notes what had been spent when it was called. */
class CountingModel {
  readonly calls: Spent[] = [];
  spent: () => Spent = () => {
    throw new Error('nothing is counted yet');
  };
  readonly server = createServer((request, response) => {
    this.calls.push(this.spent());
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          id: 'c',
          object: 'chat.completion',
          model: 'm',
          choices: [
            { index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' },
          ],
          usage: { prompt_tokens: 1, completion_tokens: 1 },
        }),
      );
    });
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }
}

/** A topology in this process: the service that is counted, and those beside it. */
class CountedServer {
  readonly model = new CountingModel();
  private readonly apps: NestFastifyApplication[] = [];
  private appends = 0;
  url = '';

  async start(
    environment: Readonly<Record<string, string>>,
    services: (settings: Settings) => readonly ServiceSpec[],
  ): Promise<void> {
    const settings = parseSettings({
      SBP_PORT: '0',
      SBP_LOG_LEVEL: 'silent',
      SBP_JWT_SECRET: 'the-secret-of-the-turn-cost-test',
      SBP_LLM_BASE_URL: await this.model.listen(),
      ...environment,
    });
    for (const spec of services(settings)) {
      const app = await createService(spec, settings, () => 'http://localhost', {
        log: (log) => this.counting(log),
      });
      await app.listen(0, '127.0.0.1');
      this.apps.push(app);
    }
    const [counted] = this.apps;
    if (counted === undefined) throw new Error('no service was started');
    this.url = addressOf(counted);
    const database = counted.get(Database, { strict: false });
    this.model.spent = () => ({ ...database.counts(), appends: this.appends });
  }

  async stop(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.close()));
    this.model.server.close();
  }

  /** One turn of a session that a first one opened; `settle` waits until it is folded. */
  async turn(session: object): Promise<{ before: Spent; atModel: Spent; after: Spent }> {
    const before = this.model.spent();
    await this.complete(session);
    const after = this.model.spent();
    const atModel = this.model.calls.at(-1);
    if (atModel === undefined) throw new Error('the model was not called');
    return { before, atModel, after };
  }

  async complete(sbp: object): Promise<{ session_id: string }> {
    const response = await fetch(`${this.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Well?' }], sbp }),
    });
    expect(response.status).toBe(200);
    const body = (await response.json()) as { sbp: { session_id: string } };
    return body.sbp;
  }

  private counting(log: EventLog): EventLog {
    return new Proxy(log, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (name === 'append') this.appends += 1;
          return Reflect.apply(value, target, args);
        };
      },
    });
  }
}

type Cost = Readonly<Record<keyof Spent, number>>;

function between(from: Spent, to: Spent): Cost {
  const names = Object.keys(from) as (keyof Spent)[];
  return Object.fromEntries(names.map((name) => [name, to[name] - from[name]])) as Cost;
}

/** By count, the least of several measurements. */
function least(costs: readonly Cost[]): Cost {
  const [first, ...rest] = costs;
  if (first === undefined) throw new Error('nothing was measured');
  return rest.reduce<Cost>(
    (all, cost) =>
      Object.fromEntries(
        Object.entries(all).map(([name, n]) => [name, Math.min(n, cost[name as keyof Spent])]),
      ) as Cost,
    first,
  );
}

const TURNS = 12;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Long enough for a turn to be folded, so that its fold is counted with it. */
async function folded(server: CountedServer): Promise<void> {
  for (let seen = -1; seen !== server.model.spent().statements;) {
    seen = server.model.spent().statements;
    await pause(100);
  }
}

describe('a next turn, embedded', () => {
  const server = new CountedServer();
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'turn-cost-'));
    await server.start({ SBP_BACKEND: 'embedded', SBP_DATA_DIR: dataDir }, (settings) => [
      sbpServer(settings),
    ]);
  });
  afterAll(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it.each(['the caller’s live session', 'a named session'])(
    'of %s takes two syncs and at most 20 statements, its fold counted',
    async (which) => {
      const opened = await server.complete({});
      await folded(server);
      const sbp = which === 'a named session' ? { session_id: opened.session_id } : {};
      const costs: Cost[] = [];
      for (let turn = 0; turn < TURNS; turn++) {
        const { before } = await server.turn(sbp);
        await folded(server);
        costs.push(between(before, server.model.spent()));
      }
      const cost = least(costs);
      expect(cost).toMatchObject({ durableCommits: 2, appends: 2, roundTrips: 0 });
      expect(cost.statements).toBeLessThanOrEqual(20);
    },
  );
});

describe('a next turn, on Kafka and Postgres', () => {
  const server = new CountedServer();
  let dataDir: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'turn-cost-'));
    const prefix = `cost-${randomUUID()}`;
    const brokers = inject('SBP_TEST_KAFKA_BROKERS');
    await createTurnsTopic({ brokers, prefix, partitions: 12, replication: 1, minIsr: 1 });
    const admin = inject('SBP_TEST_POSTGRES_URL');
    const postgres = await createDatabase(admin, prefix.replaceAll('-', '_'));
    await server.start(
      {
        SBP_BACKEND: 'kafka',
        SBP_DATA_DIR: dataDir,
        SBP_KAFKA_BROKERS: brokers,
        SBP_KAFKA_TOPIC_PREFIX: prefix,
        SBP_POSTGRES_URL: postgres,
      },
      (settings) => [completionsService(settings), sessionsService(settings)],
    );
  });
  afterAll(async () => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('takes at most two round trips to Postgres before the model and one append and one after', async () => {
    const { session_id } = await server.complete({});
    const before: Cost[] = [];
    const after: Cost[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      // Whoever asks at once also waits for the fold of the turn before.
      await pause(300);
      const spent = await server.turn({ session_id });
      before.push(between(spent.before, spent.atModel));
      after.push(between(spent.atModel, spent.after));
    }
    expect(least(before).roundTrips).toBeLessThanOrEqual(2);
    expect(least(after).roundTrips).toBe(1);
    // Its start is appended beside the model's call, and may be counted on either side.
    expect(least(before).appends + least(after).appends).toBeLessThanOrEqual(2);
  });
});
