import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '#libs/protocol';
import { freePort } from '../infrastructure/index.js';
import { startStack } from '../stack/index.js';
import type { ExistingInfrastructure } from '../stack/index.js';
import type { ProcessExit } from '../supervise/index.js';
import { SupervisedProcess, listeningLine } from '../supervise/index.js';
import { damageOfTrail } from './consumers.js';
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
  /**
   * What is wrong with the audit trail, or null. Where nothing else may use the tables meanwhile,
   * all is stopped before.
   */
  damageOfTrail(): Promise<string | null>;
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
  return built('tests', 'chaos', 'entry', `${name}.js`);
}

function built(...file: string[]): string {
  const here = fileURLToPath(import.meta.url);
  const parent = path.resolve(path.dirname(here), '../..');
  return path.join(here.endsWith('.ts') ? path.join(parent, 'dist') : parent, ...file);
}

const SERVER_PROGRAM = built('apps', 'sbp-server', 'src', 'main.js');

/** Everything in one process. `settings`: more of its environment; `port`: else any free one. */
export async function startEmbedded(
  dataDir: string,
  settings: NodeJS.ProcessEnv = {},
  given?: number,
): Promise<Topology> {
  const port = given ?? (await freePort());
  const folder = path.join(dataDir, 'data');
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
        folder,
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
  const running = topology({
    name: 'embedded',
    url: `http://127.0.0.1:${port}`,
    ledgers: ledgerFolder(dataDir),
    victims: [server],
    passing: () => [server],
    infrastructure: null,
    stop: () => server.stop(),
    damageOfTrail: async () => {
      await running.stop();
      return damageOfTrail(SERVER_PROGRAM, { ...settings, SBP_DATA_DIR: folder });
    },
  });
  return running;
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
    replicas: { completions: 2, gateway: 2, sessions: 2 },
    restart: false,
    env: { ...environment(dataDir), ...settings },
    ...(port === undefined ? {} : { port }),
    entryOf: {
      completions: entry('completions'),
      sessions: entry('sessions'),
      gateway: entry('gateway'),
      roaming: entry('roaming'),
      audit: entry('audit'),
      analytics: entry('analytics'),
    },
    infrastructure,
    topicPrefix: unique,
    database: unique.toLowerCase(),
  });
  return topology({
    name: 'stack',
    url: stack.url,
    ledgers: ledgerFolder(dataDir),
    victims: stack.services,
    passing: (step) => stack.services.filter(({ kind }) => kind === ownerOf(step)),
    infrastructure: below,
    stop: () => stack.stop(),
    damageOfTrail: () => damageOfTrail(SERVER_PROGRAM, stack.env),
  });
}

type TopologyParts = Pick<
  Topology,
  'name' | 'url' | 'ledgers' | 'victims' | 'passing' | 'infrastructure' | 'stop' | 'damageOfTrail'
>;

function topology(parts: TopologyParts): Topology {
  const { victims, passing, infrastructure } = parts;
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
    ...parts,
    kinds: [...new Set(victims.map((victim) => kindOf(victim.name)))].map((kind) => ({
      name: kind,
      runsTurns: passing('T1').some((runner) => kindOf(runner.name) === kind),
    })),
    pausing: ({ pid }) => void paused.add(pid),
    askToStop: (victim) => {
      asked.add(victim.pid);
      victim.kill('SIGTERM');
    },
    crashes,
    stop: async () => {
      isStopping = true;
      await parts.stop();
    },
  };
}
