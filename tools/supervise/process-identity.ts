import { readFileSync } from 'node:fs';

/**
 * A process as the system knows it: ids are given again after a process ended, an id with its start
 * time is not. `startTime` is in clock ticks since boot, and undefined where the system has no
 * /proc.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string | undefined;
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: startTimeOf(pid) };
}

/**
 * Whether exactly this process still runs; false where that cannot be known, so that no stranger is
 * ever killed.
 */
export function isRunning(identity: ProcessIdentity): boolean {
  return identity.startTime !== undefined && startTimeOf(identity.pid) === identity.startTime;
}

function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
