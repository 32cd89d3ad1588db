import { BareChannel, reached } from './bare-channel.js';
import type { Report } from './report.js';
import { digits, rounded } from './report.js';
import type { Rig } from './rig.js';
import { interleaved } from './rounds.js';
import type { Contender } from './rounds.js';
import { stampsIn } from './stamping-model.js';
import type { StampingModel } from './stamping-model.js';
import { median, medianSpread, spreadOf } from './statistics.js';
import type { Spread } from './statistics.js';
import { WatchedTurn } from './watched-turn.js';

const ROUNDS = 6;
/** A fast model. */
const INTERVAL_MS = 10;

interface Slot extends Spread {
  readonly deltas: number;
}

/**
 * From the model's delta to the surface's socket, against produce → consume of kafkajs at the same
 * pace.
 */
export async function liveBench(rig: Rig, seconds: number): Promise<Report> {
  const model = await rig.stampingModel();
  const stack = await rig.stack(model.url);
  const embedded = await rig.embedded('embedded-live', model.url);
  rig.say('Measuring live output …');
  model.pace(INTERVAL_MS);
  const bare = await BareChannel.open(await rig.kafkaBrokers());
  const contenders = [
    bare.contender('bare kafkajs', INTERVAL_MS),
    surfaceContender('stack', model, stack.url),
    surfaceContender('embedded', model, embedded.url),
  ];
  const slotMs = (seconds * 1000) / 2 / (contenders.length * (ROUNDS + 1));
  const slots = await interleaved(contenders, ROUNDS, slotMs);
  await bare.close();
  return reportOf(slots);
}

function surfaceContender(name: string, model: StampingModel, url: string): Contender<Slot> {
  return {
    name,
    measure: async (until) => {
      const latencies: number[] = [];
      // What the model said before the surface was watching came late for good reason.
      let watchingSince: number | null = null;
      const turn = await WatchedTurn.begin(url, url, ({ delta }) => {
        const now = performance.now();
        for (const said of stampsIn(delta)) {
          if (watchingSince !== null && said > watchingSince) latencies.push(now - said);
        }
        watchingSince ??= now;
      });
      await reached(() => until() && latencies.length > 0);
      model.finish();
      await turn.end();
      return { ...spreadOf(latencies), deltas: latencies.length };
    },
  };
}

function reportOf(slots: ReadonlyMap<string, readonly Slot[]>): Report {
  const bare = slots.get('bare kafkajs') ?? [];
  const rows = [...slots].map(([name, rounds]) => {
    const { p50, p99 } = medianSpread(rounds);
    return {
      name,
      p50: rounded(p50),
      p99: rounded(p99),
      timesBare: {
        p50: rounded(
          median(rounds.map((slot, round) => slot.p50 / (bare[round]?.p50 ?? Number.NaN))),
        ),
        p99: rounded(
          median(rounds.map((slot, round) => slot.p99 / (bare[round]?.p99 ?? Number.NaN))),
        ),
      },
      deltas: rounds.reduce((sum, { deltas }) => sum + deltas, 0),
    };
  });
  return {
    title: `From the model's delta to the surface, a delta every ${INTERVAL_MS} ms, in ms`,
    columns: ['', 'p50', 'p99', '× bare: p50', 'p99', 'deltas'],
    rows: rows.map(({ name, p50, p99, timesBare, deltas }) => [
      name,
      ...[p50, p99, timesBare.p50, timesBare.p99].map(digits),
      String(deltas),
    ]),
    results: rows,
    aims: rows
      .filter(({ name }) => name === 'stack')
      .flatMap(({ timesBare }) => [
        {
          what: 'delta → surface, p50 to bare',
          got: timesBare.p50,
          comparison: '≤',
          aim: 2,
          unit: '×',
        } as const,
        {
          what: 'delta → surface, p99 to bare',
          got: timesBare.p99,
          comparison: '≤',
          aim: 2,
          unit: '×',
        } as const,
      ]),
  };
}
