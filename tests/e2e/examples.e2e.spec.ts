import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  OTHER_TURN,
  sessionOpened,
  turnAdopted,
  turnCompleted,
  turnFailed,
  turnStarted,
} from '#libs/domain/testing';
import { KafkaEventLog } from '#libs/event-log/kafka';
import type { SupervisedProcess } from '../../tools/supervise/index.js';
import { guardFolder } from '../../tools/supervise/index.js';
import { Agent } from './clients/agent.js';
import { BreakingRelay } from './clients/breaking-relay.js';
import { INSTALL_MS, PythonClients } from './clients/python.js';
import { RunningProgram } from './clients/running-program.js';
import { embeddedProgram } from './topology/embedded.js';

const README = path.resolve(import.meta.dirname, '../../examples/README.md');

let lines: readonly string[];
let dataDir: string;
let program: SupervisedProcess;
let python: PythonClients;

beforeAll(async () => {
  const text = await readFile(README, 'utf8');
  lines = text.split('\n').filter((line) => /^(npx node|python3) examples\//.test(line));
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-examples-'));
  guardFolder(dataDir);
  program = embeddedProgram(dataDir);
  await program.start();
  python = await PythonClients.install();
}, INSTALL_MS);

afterAll(async () => {
  await program.stop();
  await rm(dataDir, { recursive: true, force: true });
});

interface Place {
  readonly url?: string;
  readonly id?: string;
  readonly token?: string;
}

/** Runs an example by its line in the README. */
function run(
  file: string,
  { url = program.url, id = '', token = '' }: Place = {},
  environment: Readonly<Record<string, string>> = {},
): RunningProgram {
  const line = lines.find((each) => each.includes(`/${file}`));
  if (line === undefined) throw new Error(`the README does not run ${file}`);
  const text = python.line(line).replace('ID', id).replace('TOKEN', token);
  return new RunningProgram(text, { SBP_URL: url, ...environment });
}

/** A session with one turn, by an agent of its own. */
async function session() {
  const agent = new Agent(program.url);
  const { sbp } = await agent.turn('Hello.');
  return { agent, id: sbp.session_id, token: sbp.session_token };
}

describe('the examples', () => {
  it('are run by these lines', () => {
    expect(lines.map((line) => /examples\/([\w.-]+)/.exec(line)?.[1])).toEqual([
      'openai-client.ts',
      'surface.ts',
      'reconnect.ts',
      'export.ts',
      'background.ts',
      'ai-sdk.ts',
      'langchain.ts',
      'python-client.py',
      'own-consumer.ts',
    ]);
  });

  it('background.ts posts a turn, leaves it, and reads what came of it', async () => {
    await using client = run('background.ts');
    const [posted, ended] = (await client.end()).trim().split('\n');
    expect(posted).toMatch(/^The turn [-0-9a-f]{36} is in the log\.$/);
    expect(ended).toMatch(/^completed: .*Compare three routes/);
  });

  it('own-consumer.ts prints the turns that count, once, and not those that only were written', async () => {
    const prefix = `own-${randomUUID()}`;
    const brokers = inject('SBP_TEST_KAFKA_BROKERS');
    const log = await KafkaEventLog.open({
      kafka: { brokers: brokers.split(','), clientId: prefix, onProblem: () => undefined },
      ...{ prefix, partitions: 2, replication: 1, minInsyncReplicas: 1, create: true },
    });
    try {
      const [one, other] = [{ session: randomUUID() }, { session: randomUUID() }];
      const completed = turnCompleted(20, { ...one, model: 'the-one-that-counts' });
      // Taken over at 20: what its first runner still writes does not count, nor a repeat.
      await log.append([sessionOpened(10, one), turnStarted(10, one)]);
      await log.append([turnAdopted(20, one)]);
      await log.append([turnCompleted(10, { ...one, model: 'of-a-lost-attempt' })]);
      await log.append([completed]);
      await log.append([completed]);
      await log.append([sessionOpened(10, other), turnStarted(10, other)]);
      await log.append([turnFailed(10, other)]);
      await log.append([turnStarted(20, { ...other, turn: OTHER_TURN, after: 1 })]);
      await log.append([turnCompleted(20, { ...other, turn: OTHER_TURN, model: 'another' })]);
      const environment = { SBP_KAFKA_BROKERS: brokers, SBP_KAFKA_TOPIC_PREFIX: prefix };
      await using consumer = run('own-consumer.ts', {}, environment);
      const line = ({ session }: { session: string }, model: string) =>
        `${session} ${model} 3 + 2 tokens`;
      await consumer.prints(/ the-one-that-counts [^]+tokens/);
      await consumer.prints(/ another [^]+tokens/);
      const lines = consumer.output.split('\n').filter((each) => each.endsWith(' tokens'));
      expect(lines.sort()).toEqual(
        [line(one, 'the-one-that-counts'), line(other, 'another')].sort(),
      );
    } finally {
      await log.close();
    }
  });

  it.each(['ai-sdk.ts', 'langchain.ts', 'python-client.py'])(
    '%s has a session of two turns',
    async (file) => {
      await using client = run(file);
      const output = await client.end();
      // All of it, so that a failure shows what the program said.
      expect(output).toMatch(
        /^.*“My name is Ada.”.*\n.*You sent 3 messages; the last of yours begins: “What is my name\?”/,
      );
    },
  );

  it('openai-client.ts has a session of two turns, and tells its id and token', async () => {
    await using client = run('openai-client.ts');
    const [first, second, last = ''] = (await client.end()).trim().split('\n');
    expect(first).toContain('“My name is Ada.”');
    expect(second).toContain('You sent 3 messages; the last of yours begins: “What is my name?”');
    const [id = '', token = ''] = last.split(' ');
    const exporting = run('export.ts', { id, token });
    expect(await exporting.end()).toMatch(/^4 messages, until \d{4}-.*Z:\neyJ[\w.-]+\n$/);
  });

  it('surface.ts prints what comes, acknowledges it, and detaches at Ctrl-C', async () => {
    const { agent, id, token } = await session();
    await using surface = run('surface.ts', { id, token });
    await surface.prints(/type: 'SESSION_ATTACHED'/);
    await agent.turn('Go on.');
    await surface.prints(/type: 'TURN_CHUNK'[^]*type: 'TURN_COMPLETE'[^]*type: 'PING'/);
    await expect
      .poll(() => agent.session(id), { timeout: 30_000 })
      .toMatchObject({ queued_turns: 0 });
    expect(await surface.pressControlC()).toMatch(/closed 1000 normal\n$/);
    expect(await agent.session(id)).toMatchObject({ surface: null });
  });

  it('reconnect.ts shows a turn once whose acknowledgement was lost', async () => {
    const { agent, id, token } = await session();
    // A surface that was there once is owed what comes while it is away.
    const before = run('surface.ts', { id, token });
    await before.prints(/SESSION_ATTACHED/);
    await before.pressControlC();
    await agent.turn('First.');
    await using relay = await BreakingRelay.before(program.url, '"TETHER_TURN"');
    await using surface = run('reconnect.ts', { url: relay.url, id, token });
    await surface.prints(/closed with 1006: back in 0 ms\nattached/);
    await agent.turn('Second.');
    await surface.prints(/turn 2: /);
    expect(relay.heard).toBe(2);
    expect(surface.output.match(/^turn \d/gm)).toEqual(['turn 1', 'turn 2']);
  });

  it('reconnect.ts returns to a server that restarted, and stays away when replaced', async () => {
    const { agent, id, token } = await session();
    await using surface = run('reconnect.ts', { id, token });
    await surface.prints(/attached/);
    const { port } = new URL(program.url);
    await program.stop();
    await surface.prints(/closed with 1012: back in 0 ms/);
    program = embeddedProgram(dataDir, Number(port));
    await program.start();
    await surface.prints(/attached[^]*attached/);
    await agent.turn('You are back.');
    await surface.prints(/turn 1: .*“You are back.”/);
    await using other = run('surface.ts', { id, token });
    expect(await surface.end()).toMatch(/closed with 4009: stay away\n$/);
    expect(other.output).toContain('SESSION_ATTACHED');
  });

  it.each(['not-the-token', ''])('reconnect.ts tells why it is refused (%j)', async (token) => {
    const { id } = await session();
    await using surface = run('reconnect.ts', { id, token });
    expect(await surface.end()).toMatch(/\nclosed with 4003: stay away\n$/);
  });
});
