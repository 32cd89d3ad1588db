import { readFileSync, readdirSync } from 'node:fs';

/** The kernel counts in ticks of this many ms, on every Linux that Node runs on. */
const TICK_MS = 10;

/** What `/proc/<pid>/stat` says of a process, in ms of CPU time. */
interface ProcessTimes {
  readonly parent: number;
  /** Its own. */
  readonly own: number;
  /** Of its children that have ended. */
  readonly ended: number;
}

/** CPU time that a process has used, in ms, user and system together; 0 if it is gone. */
export function cpuTime(pid: number): number {
  return timesOf(pid)?.own ?? 0;
}

/** As `cpuTime`, with all processes that it has started: Postgres has one for each connection. */
export function cpuTimeOfTree(root: number): number {
  const all = new Map<number, ProcessTimes>();
  for (const name of readdirSync('/proc')) {
    const times = /^\d+$/.test(name) ? timesOf(Number(name)) : null;
    if (times !== null) all.set(Number(name), times);
  }
  const sum = (pid: number): number => {
    const times = all.get(pid);
    if (times === undefined) return 0;
    const children = [...all].filter(([, { parent }]) => parent === pid).map(([child]) => child);
    return children.reduce((total, child) => total + sum(child), times.own + times.ended);
  };
  return sum(root);
}

function timesOf(pid: number): ProcessTimes | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name before may hold spaces and parentheses; after it come state, parent, and from the 12th
  // on the times.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (index: number): number => Number(fields[index]) * TICK_MS;
  return { parent: Number(fields[1]), own: ticks(11) + ticks(12), ended: ticks(13) + ticks(14) };
}
