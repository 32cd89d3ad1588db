import { mkdirSync, openSync, writeSync } from 'node:fs';
import type { Work, WorkNote } from '../../tools/chaos/work-ledger.js';
import { LEDGER_VARIABLE, ledgerFile } from '../../tools/chaos/work-ledger.js';

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;

/**
 * Writes down what this process has in hand. Each note is with the operating system before `note`
 * returns.
 */
export class WorkWriter {
  readonly folder: string;
  private readonly file: number;

  constructor() {
    const { [LEDGER_VARIABLE]: folder } = process.env;
    if (folder === undefined) throw new Error(`${LEDGER_VARIABLE} names no folder.`);
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.file = openSync(ledgerFile(folder, process.pid), 'a');
  }

  note(note: WithoutTime<WorkNote>): void {
    writeSync(this.file, `${JSON.stringify({ at: Date.now(), ...note })}\n`);
  }

  async during<T>(work: Work, call: () => Promise<T>): Promise<T> {
    this.note({ note: 'begun', work });
    try {
      return await call();
    } finally {
      this.note({ note: 'done', work });
    }
  }
}
