import { once } from 'node:events';
import { Client } from 'undici';
import { WebSocket } from 'ws';
import type { ServerFrame } from '#libs/protocol';
import type { SupervisedProcess } from '../supervise/index.js';
import { CompletionClient } from './completion-client.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 7;
const HISTORIES = [10, 1_000, 10_000] as const;
/** Turns of one slot, at least; and so many pages and attaches, at most. */
const SAMPLES = 15;
const QUESTION = 'And what about the next thing that one could ask in this conversation?';

/** A session that has had so many turns. */
interface Session {
  readonly turns: number;
  readonly id: string;
  readonly token: string;
}

/** Medians, in ms. */
interface Slot {
  readonly turn: number;
  /** The same body, sent to the model directly. */
  readonly direct: number;
  readonly page: number;
  readonly attach: number;
}

/** What a turn, a page and an attach cost after 10, 1,000 and 10,000 turns, embedded [A11]. */
export async function historyBench(rig: Rig, seconds: number): Promise<Report> {
  const model = await rig.echoModel();
  const server = await rig.embedded('embedded-history', model.url);
  rig.say('Making sessions of up to 10,000 turns …');
  const sessions: Session[] = [];
  for (const turns of HISTORIES) sessions.push(await makeSession(server.url, turns));
  rig.say('Measuring histories …');
  const contenders = sessions.map((session) => contenderOf(session, server.url, model));
  const slotMs = (seconds * 1000) / 2 / (contenders.length * (ROUNDS + 1));
  const slots = await interleaved(contenders, ROUNDS, slotMs);
  return reportOf(slots);
}

async function makeSession(url: string, turns: number): Promise<Session> {
  const client = new CompletionClient(url);
  const first = await client.complete(turn({ force_new_session: true }));
  const token = String(first.headers['x-session-token']);
  for (let made = 1; made < turns; made++) {
    await client.complete(turn({}), { 'x-session-token': token });
  }
  await client.close();
  return { turns, id: String(first.headers['x-sbp-session-id']), token };
}

function contenderOf(
  { turns, id, token }: Session,
  url: string,
  model: SupervisedProcess,
): Contender<Slot> {
  const headers = { 'x-session-token': token };
  return {
    name: String(turns),
    measure: async (until) => {
      const [server, direct] = [new CompletionClient(url), new Client(model.url)];
      const reader = new Client(url);
      const times: Record<keyof Slot, number[]> = { turn: [], direct: [], page: [], attach: [] };
      do {
        const page = `/v1/sbp/sessions/${id}/messages?limit=20&after=5`;
        times.page.push(await timed(() => call(reader, page, headers)));
        times.attach.push(await attach(url, id, token));
      } while (!until() && times.page.length < SAMPLES);
      do {
        times.turn.push((await server.complete(turn({}), headers)).total);
        const body = await lastRequest(direct);
        times.direct.push(await timed(() => call(direct, '/v1/chat/completions', {}, body)));
      } while (!until() || times.turn.length < SAMPLES);
      await Promise.all([server.close(), direct.close(), reader.close()]);
      return {
        turn: median(times.turn),
        direct: median(times.direct),
        page: median(times.page),
        attach: median(times.attach),
      };
    },
  };
}

async function call(
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: Buffer,
): Promise<void> {
  const answer = await client.request({
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
  if (answer.statusCode !== 200) throw new Error(`${path} answered ${answer.statusCode}`);
  await answer.body.dump({ limit: 100_000_000 });
}

/** What the model was asked last. */
async function lastRequest(model: Client): Promise<Buffer> {
  const { body } = await model.request({ path: '/last-request', method: 'GET' });
  return Buffer.from(await body.arrayBuffer());
}

/** The ms until a surface is attached; then it reads what it is owed, and leaves. */
async function attach(url: string, sessionId: string, token: string): Promise<number> {
  const since = performance.now();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sbp/ws/${sessionId}`);
  const attached = Promise.withResolvers<number>();
  socket.on('error', (error) => attached.reject(error));
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as ServerFrame;
    if (frame.type === 'SESSION_ATTACHED') {
      attached.resolve(performance.now() - since);
      // Where it is owed nothing, no PING comes for a while.
      if (frame.queued_turns === 0) socket.close(1000);
    }
    if (frame.type !== 'PING') return;
    socket.send('{"type":"PONG"}');
    socket.close(1000);
  });
  await once(socket, 'open');
  const frame = { type: 'ATTACH_SESSION', session_id: sessionId, session_token: token };
  socket.send(JSON.stringify(frame));
  const took = await attached.promise;
  await once(socket, 'close');
  return took;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}

function turn(sbp: object): object {
  return { model: 'gpt-4o', messages: [{ role: 'user', content: QUESTION }], sbp };
}

const PARTS = ['turn over direct', 'page', 'attach'] as const;

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const rows = HISTORIES.map((turns) => ({ turns, rounds: slots.get(String(turns)) ?? [] }));
  const values = rows.map(({ turns, rounds }) => ({
    turns,
    'turn over direct': rounds.map((slot) => slot.turn - slot.direct),
    page: rounds.map(({ page }) => page),
    attach: rounds.map(({ attach }) => attach),
    direct: rounds.map(({ direct }) => direct),
  }));
  const [short] = values;
  const times = (row: (typeof values)[number], part: (typeof PARTS)[number]): number =>
    median(row[part].map((value, round) => value / (short?.[part][round] ?? Number.NaN)));
  return {
    title: 'Sessions of 10, 1,000 and 10,000 turns, embedded: ms at p50, and × the shortest',
    columns: ['turns', 'direct', ...PARTS.flatMap((part) => [part, '×'])],
    rows: values.map((row) => [
      String(row.turns),
      digits(median(row.direct)),
      ...PARTS.flatMap((part) => [digits(median(row[part])), digits(times(row, part))]),
    ]),
    results: values.map((row) => ({
      turns: row.turns,
      direct: rounded(median(row.direct)),
      ...Object.fromEntries(PARTS.map((part) => [part, rounded(median(row[part]))])),
    })),
    aims: values.slice(-1).flatMap((row) =>
      PARTS.map((part) => ({
        what: `${part} after ${row.turns} turns to after ${HISTORIES[0]}`,
        got: times(row, part),
        comparison: '≤' as const,
        aim: 1.2,
        unit: '×' as const,
      })),
    ),
  };
}
