import { parseArgs } from 'node:util';

export const BENCHES = [
  'start',
  'completions',
  'pace',
  'queue',
  'streams',
  'history',
  'idle',
  'appends',
  'fold',
  'live',
  'tools',
  'roaming',
  'adoption',
  'telemetry',
] as const;
export type BenchName = (typeof BENCHES)[number];

export interface BenchOptions {
  readonly only: readonly BenchName[];
  /** How long the longest bench measures; the others in proportion. */
  readonly seconds: number;
}

export const USAGE = `usage: npm run bench -- [options]

  --only LIST    some of ${BENCHES.join(', ')}, separated by commas (default: all)
  --seconds N    how long \`completions\`, the longest, measures (default 90); the others in proportion
`;

const MAX_SECONDS = 120;

/** Throws an `Error` with a message for the user if an option is wrong. */
export function benchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      only: { type: 'string', default: BENCHES.join(',') },
      seconds: { type: 'string', default: '90' },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SECONDS) {
    throw new Error(`--seconds ${values.seconds} is not a whole number from 1 to ${MAX_SECONDS}.`);
  }
  const only = values.only.split(',').map((name) => {
    const known = BENCHES.find((each) => each === name);
    if (known === undefined)
      throw new Error(`--only: ${name} is not one of ${BENCHES.join(', ')}.`);
    return known;
  });
  return { only, seconds };
}
