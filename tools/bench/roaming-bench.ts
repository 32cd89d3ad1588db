import { Client } from 'undici';
import { residentBytes } from '../chaos/index.js';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { median } from './statistics.js';

const HISTORIES = [10, 1_000, 10_000] as const;
const ROUNDS = 9;
const QUESTION = 'And what about the next thing that one could ask in this conversation?';
const MEBIBYTE = 1024 * 1024;

/** Medians, in ms; and the memory that the server takes more meanwhile, in MiB. */
interface Measured {
  readonly turns: number;
  readonly export: number;
  readonly import: number;
  readonly memory: number;
  readonly fork: number;
  /** A turn in the session, and in a fork of it. */
  readonly turn: number;
  readonly forkTurn: number;
}

/** What an export, an import and a fork of 10, 1,000 and 10,000 turns cost, embedded [A11]. */
export async function roamingBench(rig: Rig): Promise<Report> {
  const model = await rig.echoModel();
  const server = await rig.embedded('embedded-roaming', model.url);
  const measured: Measured[] = [];
  for (const turns of HISTORIES) {
    rig.say(`Making a session of ${turns} turns, and roaming …`);
    measured.push(await measure(server, turns));
  }
  return reportOf(measured);
}

async function measure(server: SupervisedProcess, turns: number): Promise<Measured> {
  const client = new CompletionClient(server.url);
  const plain = new Client(server.url);
  const first = await client.complete(turn({ force_new_session: true }));
  const id = String(first.headers['x-sbp-session-id']);
  for (let made = 1; made < turns; made++) await client.complete(turn({ session_id: id }));
  const path = `/v1/sbp/sessions/${id}`;
  const times: Record<'export' | 'import' | 'fork', number[]> = {
    export: [],
    import: [],
    fork: [],
  };
  const before = residentBytes(server.pid);
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, residentBytes(server.pid));
  }, 20);
  for (let round = 0; round < ROUNDS; round++) {
    const exported = await post(plain, `${path}/export`, {});
    const imported = await post(plain, '/v1/sbp/sessions/import', {
      ...{ roaming_token: exported.json['roaming_token'], allow_reuse: true },
    });
    times.export.push(exported.ms);
    times.import.push(imported.ms);
  }
  clearInterval(watch);
  let fork = '';
  for (let round = 0; round < ROUNDS; round++) {
    const forked = await post(plain, `${path}/fork`, {});
    times.fork.push(forked.ms);
    fork = String(forked.json['fork_session_id']);
  }
  const [turnMs, forkTurnMs] = await turnsOf(client, id, fork);
  await Promise.all([client.close(), plain.close()]);
  return {
    turns,
    export: median(times.export),
    import: median(times.import),
    memory: (most - before) / MEBIBYTE,
    fork: median(times.fork),
    turn: turnMs,
    forkTurn: forkTurnMs,
  };
}

/** Medians of turns in a session and in its fork, by turns; the first of each does not count. */
async function turnsOf(client: CompletionClient, id: string, fork: string) {
  const times: readonly [number[], number[]] = [[], []];
  for (let round = 0; round <= 2 * ROUNDS; round++) {
    for (const [at, sessionId] of [id, fork].entries()) {
      const { total } = await client.complete(turn({ session_id: sessionId }));
      if (round > 0) times[at]?.push(total);
    }
  }
  return [median(times[0]), median(times[1])] as const;
}

async function post(client: Client, path: string, body: object) {
  const since = performance.now();
  const answer = await client.request({
    ...{ path, method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify(body),
  });
  const json = (await answer.body.json()) as Readonly<Record<string, unknown>>;
  if (answer.statusCode !== 201) throw new Error(`${path} answered ${answer.statusCode}`);
  return { ms: performance.now() - since, json };
}

function turn(sbp: object): object {
  return { model: 'gpt-4o', messages: [{ role: 'user', content: QUESTION }], sbp };
}

function reportOf(measured: readonly Measured[]): Report {
  const [short, middle, long] = measured;
  if (short === undefined || middle === undefined || long === undefined) {
    throw new Error('not every history was measured');
  }
  const ratio = (what: string, got: number, aim: number) => {
    return { what, got, comparison: '≤' as const, aim, unit: '×' as const };
  };
  return {
    title: 'Sessions of 10, 1,000 and 10,000 turns, embedded: ms at p50; MiB more at the most',
    columns: ['turns', 'export', 'import', 'memory', 'fork', 'turn', 'turn in the fork'],
    rows: measured.map((each) => [
      String(each.turns),
      ...[each.export, each.import, each.memory, each.fork, each.turn, each.forkTurn].map(digits),
    ]),
    results: measured.map((each) => ({
      turns: each.turns,
      export: rounded(each.export),
      import: rounded(each.import),
      memory: rounded(each.memory),
      fork: rounded(each.fork),
      turn: rounded(each.turn),
      forkTurn: rounded(each.forkTurn),
    })),
    aims: [
      ratio(
        'export of 10,000 turns to 10 × that of 1,000',
        long.export / (10 * middle.export),
        1.2,
      ),
      ratio(
        'import of 10,000 turns to 10 × that of 1,000',
        long.import / (10 * middle.import),
        1.2,
      ),
      ratio('fork at the head of 10,000 turns to one of 10', long.fork / short.fork, 1.2),
      ratio('turn in a fork of 10,000 turns to one in its base', long.forkTurn / long.turn, 1.2),
      {
        what: 'memory for export and import of 10,000 turns',
        ...{ got: long.memory, comparison: '≤' as const, aim: 64, unit: 'MiB' as const },
      },
    ],
  };
}
