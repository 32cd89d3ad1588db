import { readFileSync } from 'node:fs';
import { PeriodicTask } from '#libs/timing';
import type { SupervisedProcess } from '../supervise/index.js';

const EVERY_MS = 250;
const KIB = 1024;

/** Follows how much memory processes hold, as the system counts it. */
export class MemoryWatch {
  private readonly most = new Map<string, number>();
  private readonly task: PeriodicTask;

  constructor(processes: readonly Pick<SupervisedProcess, 'name' | 'pid'>[]) {
    this.task = new PeriodicTask({
      everyMs: EVERY_MS,
      work: () => {
        for (const { name, pid } of processes) this.note(name, residentBytes(pid));
        return Promise.resolve();
      },
      onFault: () => undefined,
    });
    this.task.start();
  }

  /** Ends, and tells the most bytes that each process held. */
  async stop(): Promise<ReadonlyMap<string, number>> {
    await this.task.stop();
    return this.most;
  }

  private note(name: string, bytes: number): void {
    this.most.set(name, Math.max(bytes, this.most.get(name) ?? 0));
  }
}

/** What a process holds in memory, in bytes; 0 for one that is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * KIB;
  } catch {
    return 0;
  }
}
