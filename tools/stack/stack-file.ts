import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** One line of `stack.json`. */
export interface StackEntry {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
}

/** Replaces the file as a whole: who reads it meanwhile sees the old list or the new one. */
export function writeStackFile(dataDir: string, processes: readonly StackEntry[]): void {
  const file = path.join(dataDir, 'stack.json');
  writeFileSync(`${file}.new`, `${JSON.stringify({ processes }, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}
