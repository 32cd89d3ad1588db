import { bareProducer, turnEnds } from './bare-producer.js';
import { CompletionClient } from './completion-client.js';
import { oneSession, untracked } from './completion-targets.js';
import type { Conversation } from './completion-targets.js';
import { createTopic } from '#libs/kafka';
import { turnsTopic } from '#libs/event-log/kafka';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { median } from './statistics.js';

const ROUNDS = 7;
/** What a quick model takes to its first token, in ms. */
const FIRST_TOKEN_MS = 200;
const DIRECT = 'direct';
const EMBEDDED = 'embedded';
const STACK = 'stack';
const SEND = 'bare kafkajs send';

interface Answering {
  readonly who: string;
  readonly url: string;
  readonly conversation: () => Conversation;
}

/**
 * What a person waits for: a next turn of a model of usual pace; and of one that answers at once,
 * beside one acknowledged send of kafkajs.
 */
export async function paceBench(rig: Rig, seconds: number): Promise<Report> {
  const demo = await rig.demoModel();
  const embedded = await rig.embedded('embedded-pace', demo.url);
  const stack = await rig.stack(demo.url);
  const brokers = await rig.kafkaBrokers();
  const topic = turnsTopic({ prefix: 'pace', partitions: 1, replication: 1, minInsyncReplicas: 1 });
  await createTopic(
    { brokers, clientId: 'bench', onProblem: (problem) => rig.say(problem) },
    topic,
  );
  const producer = await bareProducer(brokers);
  rig.say('Measuring turns at a model’s pace …');
  const events = turnEnds().map((event) => ({ value: JSON.stringify(event) }));
  let next = 0;
  const send = async (): Promise<void> => {
    const message = events[next++ % events.length] ?? { value: null };
    await producer.send({ topic: topic.topic, acks: -1, messages: [message] });
  };
  const targets = [
    { who: DIRECT, url: demo.url, conversation: untracked },
    { who: EMBEDDED, url: embedded.url, conversation: oneSession },
    { who: STACK, url: stack.url, conversation: oneSession },
  ];
  const contenders = [
    ...targets.map((target) => turnContender(target, FIRST_TOKEN_MS)),
    ...targets.map((target) => turnContender(target, 0)),
    { name: SEND, measure: (until) => medianOf(send, until) } satisfies Contender<number>,
  ];
  const slotMs = (seconds * 1000) / 2 / (contenders.length * (ROUNDS + 1));
  const medians = await interleaved(contenders, ROUNDS, slotMs);
  await producer.disconnect();
  return reportOf(medians);
}

function nameOf(who: string, firstTokenMs: number): string {
  return `${who}, first token after ${firstTokenMs} ms`;
}

function turnContender(
  { who, url, conversation }: Answering,
  firstTokenMs: number,
): Contender<number> {
  const content = `demo: ttft=${firstTokenMs}\nWhat is open late on a Sunday?`;
  return {
    name: nameOf(who, firstTokenMs),
    measure: async (until) => {
      const client = new CompletionClient(url);
      const turns = conversation();
      const times: number[] = [];
      do {
        const { headers, sbp, counts } = turns.next();
        const messages = [{ role: 'user', content }];
        const body = { model: 'gpt-4o', messages, stream: true, ...(sbp === null ? {} : { sbp }) };
        const answered = await client.complete(body, headers);
        turns.answered(answered.headers);
        if (counts) times.push(answered.total);
      } while (!until() || times.length === 0);
      await client.close();
      return median(times);
    },
  };
}

async function medianOf(work: () => Promise<void>, until: () => boolean): Promise<number> {
  const times: number[] = [];
  do {
    const since = performance.now();
    await work();
    times.push(performance.now() - since);
  } while (!until());
  return median(times);
}

function reportOf(medians: ReadonlyMap<string, readonly number[]>): Report {
  const of = (name: string): readonly number[] => medians.get(name) ?? [];
  const [direct, atOnce] = [of(nameOf(DIRECT, FIRST_TOKEN_MS)), of(nameOf(DIRECT, 0))];
  const toDirect = (who: string): number =>
    median(of(nameOf(who, FIRST_TOKEN_MS)).map((time, round) => time / (direct[round] ?? NaN)));
  const toSend = median(
    of(nameOf(STACK, 0)).map(
      (time, round) => (time - (atOnce[round] ?? NaN)) / (of(SEND)[round] ?? NaN),
    ),
  );
  const rows = [...medians].map(([name, rounds]) => ({ name, p50: median(rounds) }));
  return {
    title: 'Next turns, streaming: ms in all at p50',
    columns: ['', 'p50'],
    rows: rows.map(({ name, p50 }) => [name, digits(p50)]),
    results: rows.map(({ name, p50 }) => ({ name, p50: rounded(p50) })),
    aims: [
      ...[EMBEDDED, STACK].map((who) => ({
        what: `${nameOf(who, FIRST_TOKEN_MS)}, to direct`,
        got: toDirect(who),
        comparison: '≤' as const,
        aim: 1.02,
        unit: '×' as const,
      })),
      {
        what: 'added by a next turn of the stack, to one acknowledged send',
        got: toSend,
        comparison: '≤',
        aim: 8,
        unit: '×',
      },
    ],
  };
}
