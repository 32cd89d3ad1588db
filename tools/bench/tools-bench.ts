import { once } from 'node:events';
import type { ServerFrame } from '#libs/protocol';
import { HEADERS } from '#libs/protocol';
import { WebSocket } from 'ws';
import { BareChannel } from './bare-channel.js';
import { CallingModel } from './calling-model.js';
import { CompletionClient } from './completion-client.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { stamp, stampsIn } from './stamping-model.js';
import { median, medianSpread, spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';

const ROUNDS = 4;
/** Rounds of calls in each turn, with one call each. */
const TURN_ROUNDS = 10;
/** Calls of one answer of the model. */
const MANY = 100;
/** Between two messages of the bare channel, in ms. */
const BARE_INTERVAL_MS = 20;

interface Slot {
  /** From the model's call to the surface's `TOOL_CALL`. */
  readonly call: Spread;
  /** From the surface's `TOOL_RESULT` to the model's next request. */
  readonly result: Spread;
  /** From `MANY` calls in one answer until all their results are with the model, in ms. */
  readonly many: number;
}

/**
 * What a call of a tool of the surface takes on its way there and back, against one produce →
 * consume of kafkajs.
 */
export async function toolsBench(rig: Rig, seconds: number): Promise<Report> {
  const model = await CallingModel.start();
  const stack = await rig.stack(model.url);
  const embedded = await rig.embedded('embedded-tools', model.url);
  rig.say('Measuring calls of tools …');
  const bare = await BareChannel.open(await rig.kafkaBrokers());
  const contenders = [
    bareContender(bare),
    await surfaceContender('embedded', model, embedded.url),
    await surfaceContender('stack', model, stack.url),
  ];
  const slotMs = (seconds * 1000) / 2 / (contenders.length * (ROUNDS + 1));
  const slots = await interleaved(contenders, ROUNDS, slotMs);
  await bare.close();
  await model.close();
  return reportOf(slots);
}

function bareContender(bare: BareChannel): Contender<Slot> {
  const contender = bare.contender('bare kafkajs', BARE_INTERVAL_MS);
  return {
    name: contender.name,
    measure: async (until) => {
      const slot = await contender.measure(until);
      return { call: slot, result: slot, many: Number.NaN };
    },
  };
}

async function surfaceContender(
  name: string,
  model: CallingModel,
  url: string,
): Promise<Contender<Slot>> {
  const client = new CompletionClient(url);
  const headers = { 'x-agent-id': `bench-${name}` };
  const ask = (content: string) =>
    client.complete({ model: 'bench', messages: [{ role: 'user', content }], sbp: {} }, headers);
  const opened = await ask('Hello.');
  let called: number[] = [];
  await attach(url, opened.headers, (at) => called.push(performance.now() - at));
  return {
    name,
    measure: async (until) => {
      called = [];
      model.returned.length = 0;
      while (!until() || called.length === 0) await ask(`rounds=${TURN_ROUNDS} calls=1`);
      const slot = { call: spreadOf(called), result: spreadOf(model.returned) };
      await ask(`rounds=1 calls=${MANY}`);
      return { ...slot, many: model.roundTrip };
    },
  };
}

/** A surface that answers each call at once; it is told when each was made. */
async function attach(
  url: string,
  session: Readonly<Record<string, unknown>>,
  onCall: (madeAt: number) => void,
): Promise<void> {
  const session_id = String(session[HEADERS.sessionId]);
  const session_token = String(session[HEADERS.sessionToken]);
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/sbp/ws/${session_id}`);
  const attached = Promise.withResolvers<undefined>();
  socket.on('error', (error) => attached.reject(error));
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as ServerFrame;
    if (frame.type === 'SESSION_ATTACHED') attached.resolve(undefined);
    if (frame.type === 'PING') socket.send('{"type":"PONG"}');
    if (frame.type !== 'TOOL_CALL') return;
    for (const at of stampsIn(String(frame.tool_input['at']))) onCall(at);
    const { call_id } = frame;
    socket.send(JSON.stringify({ type: 'TOOL_RESULT', call_id, result: stamp() }));
  });
  await once(socket, 'open');
  const surface_context = { mcp_tools: ['probe'] };
  socket.send(
    JSON.stringify({ type: 'ATTACH_SESSION', session_id, session_token, surface_context }),
  );
  await attached.promise;
}

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const bare = slots.get('bare kafkajs') ?? [];
  const rows = [...slots].flatMap(([name, rounds]) =>
    (['call', 'result'] as const).map((way) => {
      const { p50, p99 } = medianSpread(rounds.map((slot) => slot[way]));
      const ratios = rounds.map((slot, at) => slot[way].p50 / (bare[at]?.[way].p50 ?? Number.NaN));
      const what = way === 'call' ? 'call → TOOL_CALL' : 'TOOL_RESULT → next request';
      const many = median(rounds.map((slot) => slot.many));
      return {
        name: name === 'bare kafkajs' ? `${name}, produce → consume` : `${name}, ${what}`,
        way,
        p50: rounded(p50),
        p99: rounded(p99),
        timesBare: rounded(median(ratios)),
        many: way === 'result' ? many : Number.NaN,
      };
    }),
  );
  const shown = rows.filter(({ name, way }) => !name.startsWith('bare') || way === 'call');
  return {
    title: `Calls of the surface's tools, in ms; ${MANY} calls of one answer, until all are back`,
    columns: ['', 'p50', 'p99', '× bare', `${MANY} calls`],
    rows: shown.map(({ name, p50, p99, timesBare, many }) => [
      name,
      ...[p50, p99, timesBare, many].map(digits),
    ]),
    results: shown.map(({ name, p50, p99, timesBare, many }) => {
      const row = { name, p50, p99, timesBare };
      return Number.isNaN(many) ? row : { ...row, many: rounded(many) };
    }),
    aims: [],
  };
}
