import { randomUUID } from 'node:crypto';
import type { SupervisedProcess } from '../supervise/index.js';
import type { ResponseHeaders } from './completion-client.js';
import { cpuTime, cpuTimeOfTree } from './cpu-time.js';
import type { StackProgram } from './stack-program.js';

/**
 * A session that goes on is left after so many turns: its transcript is sent to the model each
 * time.
 */
const TURNS_PER_SESSION = 20;
const IDLE_MS = 3000;

/** Who answers, and what it costs there. */
export interface Target {
  readonly name: string;
  readonly url: string;
  /** CPU time of the server's processes so far, in ms. */
  readonly cpu: () => number;
  /** CPU ms that they use per ms without any request: it is no request's. */
  readonly idle: number;
  readonly conversation: () => Conversation;
}

/** What is asked, request by request; it sees each answer's headers. */
export interface Conversation {
  next(): {
    readonly headers: Readonly<Record<string, string>>;
    readonly sbp: object | null;
    readonly counts: boolean;
  };
  answered(headers: ResponseHeaders): void;
}

/** All that are measured, `direct` and `bare` among them. */
export async function completionTargets(
  demo: SupervisedProcess,
  bare: SupervisedProcess,
  embedded: SupervisedProcess,
  stack: StackProgram,
): Promise<Target[]> {
  const pids = stack.list().filter(({ name }) => name !== 'kafka-1' && name !== 'postgres');
  const cpuOf = (pid: number) => () => cpuTime(pid);
  const services = (): number => pids.reduce((sum, { pid }) => sum + cpuTime(pid), 0);
  const everything = (): number =>
    services() +
    cpuTime(stack.process('kafka-1').pid) +
    cpuTimeOfTree(stack.process('postgres').pid);
  const completions = stack.process('completions-1');
  const front = stack.process('front');
  const passing = (): number => cpuTime(completions.pid) + cpuTime(front.pid);
  const target = async (
    name: string,
    url: string,
    cpu: () => number,
    conversation: () => Conversation = untracked,
  ): Promise<Target> => ({ name, url, cpu, idle: await idleShare(cpu), conversation });
  return Promise.all([
    target('direct', demo.url, cpuOf(demo.pid)),
    target('bare', bare.url, cpuOf(bare.pid)),
    target('embedded, pass-through', embedded.url, cpuOf(embedded.pid)),
    target('embedded, turn of a new session', embedded.url, cpuOf(embedded.pid), newSessions),
    target('embedded, next turn', embedded.url, cpuOf(embedded.pid), oneSession),
    target('completions service, pass-through', completions.url, cpuOf(completions.pid)),
    target('stack, pass-through', stack.url, passing),
    target('stack, turn of a new session', stack.url, services, newSessions),
    target('stack, next turn', stack.url, services, oneSession),
    target('stack with Kafka and Postgres, next turn', stack.url, everything, oneSession),
  ]);
}

async function idleShare(cpu: () => number): Promise<number> {
  const before = cpu();
  const since = performance.now();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return (cpu() - before) / (performance.now() - since);
}

export function untracked(): Conversation {
  return { next: () => ({ headers: {}, sbp: null, counts: true }), answered: () => undefined };
}

function newSessions(): Conversation {
  return {
    next: () => ({ headers: { 'x-agent-id': randomUUID() }, sbp: {}, counts: true }),
    answered: () => undefined,
  };
}

/** The turn that opens a session does not count. */
export function oneSession(): Conversation {
  let token: string | null = null;
  let turns = 0;
  return {
    next: () =>
      token === null || turns >= TURNS_PER_SESSION
        ? ((turns = 0), { headers: { 'x-agent-id': randomUUID() }, sbp: {}, counts: false })
        : { headers: { 'x-session-token': token }, sbp: {}, counts: true },
    answered: (headers) => {
      turns += 1;
      token = String(headers['x-session-token']);
    },
  };
}
