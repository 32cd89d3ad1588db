import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '#libs/protocol';
import { freePort } from '../infrastructure/index.js';
import { startStack } from '../stack/index.js';
import type { ExistingInfrastructure } from '../stack/index.js';
import type { ProcessExit } from '../supervise/index.js';
import { SupervisedProcess, listeningLine } from '../supervise/index.js';
import type { Kind } from './kill-schedule.js';
import type { Infrastructure } from './outages.js';
import type { Step } from './steps.js';
import { ownerOf } from './steps.js';
import { LEDGER_VARIABLE } from './work-ledger.js';

/** A running system whose processes can be killed and come back by themselves. */
export interface Topology {
  readonly name: 'embedded' | 'stack';
  readonly url: string;
  readonly ledgers: string;
  readonly victims: readonly SupervisedProcess[];
  readonly kinds: readonly Kind[];
  /** Those that pass a step. */
  passing(step: Step): readonly SupervisedProcess[];
  /** What lies under the services and may be taken away; null where that is not killed. */
  readonly infrastructure: Infrastructure | null;
  /** Sends SIGTERM. When the process has ended it is started again. */
  askToStop(victim: SupervisedProcess): void;
  /** The process is about to be paused: it ends by itself where its slot was taken meanwhile. */
  pausing(victim: SupervisedProcess): void;
  /**
   * Ends of processes that nobody brought about: signals other than SIGKILL, and exit codes other
   * than the 0 of one that was asked to stop.
   */
  readonly crashes: readonly ProcessExit[];
  stop(): Promise<void>;
}

/** The kind of a process, by its name. */
export function kindOf(name: string): string {
  return name.replace(/-\d+$/, '');
}

/** Before a killed process is started again, in ms: about what a supervisor takes. */
const RESTART_MS = 200;

/**
 * How services are to behave; the demo model's answers differ from call to call, so that a repeated
 * one is seen.
 */
function environment(dataDir: string): NodeJS.ProcessEnv {
  return { SBP_DEMO_VARY: '1', SBP_LOG_LEVEL: 'warn', [LEDGER_VARIABLE]: ledgerFolder(dataDir) };
}

function ledgerFolder(dataDir: string): string {
  return path.join(dataDir, 'ledger');
}

/**
 * A test program of `tests/chaos/entry` as built. This module lies in `tools/chaos`, or in its
 * built form below `dist`.
 */
function entry(name: ServiceName | 'sbp-server'): string {
  const here = fileURLToPath(import.meta.url);
  const parent = path.resolve(path.dirname(here), '../..');
  const dist = here.endsWith('.ts') ? path.join(parent, 'dist') : parent;
  return path.join(dist, 'tests', 'chaos', 'entry', `${name}.js`);
}

/** Everything in one process. `settings`: more of its environment; `port`: else any free one. */
export async function startEmbedded(
  dataDir: string,
  settings: NodeJS.ProcessEnv = {},
  given?: number,
): Promise<Topology> {
  const port = given ?? (await freePort());
  const server = new SupervisedProcess({
    name: 'sbp-server',
    launch: () => ({
      command: process.execPath,
      args: [
        '--enable-source-maps',
        entry('sbp-server'),
        '--port',
        String(port),
        '--data-dir',
        path.join(dataDir, 'data'),
      ],
      env: { ...process.env, ...environment(dataDir), ...settings },
      ipc: true,
    }),
    ready: listeningLine,
    logFile: path.join(dataDir, 'logs', 'sbp-server.log'),
    pidFile: path.join(dataDir, 'run', 'sbp-server.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: false,
  });
  await server.start();
  return topology(
    'embedded',
    `http://127.0.0.1:${port}`,
    dataDir,
    [server],
    () => [server],
    () => server.stop(),
    null,
  );
}

/** Each service a process of its own, two of those that hold work. As `startEmbedded`. */
export async function startServices(
  dataDir: string,
  infrastructure: ExistingInfrastructure,
  settings: NodeJS.ProcessEnv = {},
  port?: number,
  below: Infrastructure | null = null,
): Promise<Topology> {
  const unique = `chaos_${path.basename(dataDir).replaceAll(/[^A-Za-z0-9]/g, '')}`;
  const stack = await startStack({
    dataDir,
    // Nothing that a conversation needs waits for the other consumers of the log.
    replicas: { completions: 2, gateway: 2, sessions: 2, roaming: 1, audit: 0, analytics: 0 },
    restart: false,
    env: { ...environment(dataDir), ...settings },
    ...(port === undefined ? {} : { port }),
    entryOf: {
      completions: entry('completions'),
      sessions: entry('sessions'),
      gateway: entry('gateway'),
      roaming: entry('roaming'),
    },
    infrastructure,
    topicPrefix: unique,
    database: unique.toLowerCase(),
  });
  const passing = (step: Step): readonly SupervisedProcess[] =>
    stack.services.filter(({ kind }) => kind === ownerOf(step));
  return topology('stack', stack.url, dataDir, stack.services, passing, () => stack.stop(), below);
}

function topology(
  name: Topology['name'],
  url: string,
  dataDir: string,
  victims: readonly SupervisedProcess[],
  passing: Topology['passing'],
  stop: () => Promise<void>,
  infrastructure: Infrastructure | null,
): Topology {
  const crashes: ProcessExit[] = [];
  const asked = new Set<number>();
  const paused = new Set<number>();
  let isStopping = false;
  const restart = ({ name: ended }: ProcessExit): void => {
    const victim = victims.find((each) => each.name === ended);
    // One that ends before it is ready ends here again.
    if (!isStopping) void victim?.start().catch(() => undefined);
  };
  const onExit = (exit: ProcessExit): void => {
    if (isStopping || exit.expected) return;
    // It could not start on what is away, and is tried again.
    if (infrastructure?.isAway === true && exit.code === 1) {
      setTimeout(() => restart(exit), RESTART_MS);
      return;
    }
    const hasStopped =
      (asked.has(exit.pid) && exit.code === 0) || (paused.has(exit.pid) && exit.code === 1);
    if (exit.signal !== 'SIGKILL' && !hasStopped) crashes.push(exit);
    setTimeout(() => restart(exit), RESTART_MS);
  };
  for (const victim of victims) victim.events.on('exit', onExit);
  return {
    name,
    url,
    ledgers: ledgerFolder(dataDir),
    victims,
    kinds: [...new Set(victims.map((victim) => kindOf(victim.name)))].map((kind) => ({
      name: kind,
      runsTurns: passing('T1').some((runner) => kindOf(runner.name) === kind),
    })),
    passing,
    infrastructure,
    pausing: ({ pid }) => void paused.add(pid),
    askToStop: (victim) => {
      asked.add(victim.pid);
      victim.kill('SIGTERM');
    },
    crashes,
    stop: async () => {
      isStopping = true;
      await stop();
    },
  };
}
