import { readFileSync } from 'node:fs';
import path from 'node:path';
import SqliteFile from 'better-sqlite3';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import { cpuTime } from './cpu-time.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 5;
const IDLE_SESSIONS = 1_000_000;
/** How long a server is watched that has nothing to do, in ms. */
const WATCH_MS = 5_000;
const TURNS = 20;
const LOAD = { clients: 32, turns: 40 } as const;

interface Slot {
  /** CPU ms a second without any request. */
  readonly idleCpu: number;
  /** A next turn's median, in ms. */
  readonly turn: number;
}

/** What a million idle sessions cost, and how much memory a server holds, embedded [A11]. */
export async function idleBench(rig: Rig): Promise<Report> {
  const model = await rig.echoModel();
  rig.say('Making a million idle sessions …');
  const full = await serverWith(rig, model, 'idle-full', IDLE_SESSIONS);
  const empty = await serverWith(rig, model, 'idle-empty', 0);
  const idleMemory = memoryOf(empty.pid);
  rig.say('Measuring idle sessions …');
  const contenders = [contenderOf('no idle sessions', empty), contenderOf('a million', full)];
  const slots = await interleaved(contenders, ROUNDS, 0);
  await load(empty.url);
  const loadedMemory = memoryOf(empty.pid);
  return reportOf(slots, idleMemory, loadedMemory);
}

async function serverWith(
  rig: Rig,
  model: SupervisedProcess,
  name: string,
  sessions: number,
): Promise<SupervisedProcess> {
  const first = await rig.embedded(name, model.url);
  const client = new CompletionClient(first.url);
  await client.complete(turn());
  await client.close();
  if (sessions === 0) return first;
  await first.stop();
  multiply(path.join(rig.dir, name, 'statebridge.sqlite'), sessions);
  return rig.embedded(name, model.url);
}

/** Copies the rows of the one session there is, each copy under an id of its own. */
function multiply(file: string, copies: number): void {
  const database = new SqliteFile(file);
  database.pragma('synchronous = OFF');
  for (const table of ['sessions', 'turns', 'claims']) {
    const names = (database.pragma(`table_info(${table})`) as { name: string }[]).map(
      ({ name }) => `"${name}"`,
    );
    const values = names.map((name) =>
      name === '"session_id"' ? `printf('%08x-0000-4000-8000-000000000000', counter.n)` : name,
    );
    database.exec(`
      INSERT INTO ${table} (${names.join(', ')})
      WITH RECURSIVE counter (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < ${copies}
      )
      SELECT ${values.join(', ')} FROM (SELECT * FROM ${table} LIMIT 1), counter`);
  }
  database.close();
}

function contenderOf(name: string, server: SupervisedProcess): Contender<Slot> {
  return {
    name,
    measure: async () => {
      const before = cpuTime(server.pid);
      await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
      const idleCpu = ((cpuTime(server.pid) - before) / WATCH_MS) * 1000;
      const client = new CompletionClient(server.url);
      const times: number[] = [];
      for (let made = 0; made < TURNS; made++) times.push((await client.complete(turn())).total);
      await client.close();
      return { idleCpu, turn: median(times) };
    },
  };
}

async function load(url: string): Promise<void> {
  const clients = Array.from({ length: LOAD.clients }, () => new CompletionClient(url));
  await Promise.all(
    clients.map(async (client, index) => {
      const headers = { 'x-agent-id': `load-${index}` };
      for (let made = 0; made < LOAD.turns; made++) await client.complete(turn(), headers);
      await client.close();
    }),
  );
}

function turn(): object {
  return { model: 'gpt-4o', messages: [{ role: 'user', content: 'What is new?' }], sbp: {} };
}

/** Resident memory of a process, in MiB. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

function reportOf(
  slots: ReadonlyMap<string, readonly Slot[]>,
  idleMemory: number,
  loadedMemory: number,
): Report {
  const rows = [...slots].map(([name, rounds]) => ({
    name,
    idleCpu: median(rounds.map((slot) => slot.idleCpu)),
    turn: median(rounds.map((slot) => slot.turn)),
  }));
  const [empty, full] = rows;
  return {
    title: `A server without idle sessions and with ${IDLE_SESSIONS}, embedded; memory idle ${digits(idleMemory)}, after load ${digits(loadedMemory)} MiB`,
    columns: ['', 'idle: ms of CPU a second', 'next turn p50, ms'],
    rows: rows.map(({ name, ...row }) => [name, digits(row.idleCpu), digits(row.turn)]),
    results: rows.map(({ name, ...row }) => ({
      name,
      idleCpu: rounded(row.idleCpu),
      turn: rounded(row.turn),
    })),
    aims: [
      {
        what: 'CPU that a million idle sessions add',
        got: (full?.idleCpu ?? Number.NaN) - (empty?.idleCpu ?? Number.NaN),
        comparison: '≤',
        aim: 5,
        unit: 'ms of CPU a second',
      },
      {
        what: 'next turn beside a million idle sessions',
        got: (full?.turn ?? Number.NaN) / (empty?.turn ?? Number.NaN),
        comparison: '≤',
        aim: 1.2,
        unit: '×',
      },
      { what: 'memory, idle', got: idleMemory, comparison: '≤', aim: 120, unit: 'MiB' },
      { what: 'memory, after load', got: loadedMemory, comparison: '≤', aim: 220, unit: 'MiB' },
    ],
  };
}
