import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { SupervisedProcess, guardFolder, listeningLine } from '../../../tools/supervise/index.js';
import { SETTINGS } from '../topology/settings.js';
import { runRebuild } from './command.js';
import type { Rebuildable, Row } from './rebuildable.js';

const PROGRAM = path.resolve(import.meta.dirname, '../../../dist/apps/sbp-server/src/main.js');

/** Tables of an embedded installation that a rebuild does not make. */
const KEPT = ['log_records', 'credentials'];

export async function rebuildableEmbedded(): Promise<Rebuildable> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-rebuild-'));
  guardFolder(dataDir);
  const env = { ...SETTINGS, SBP_BACKEND: 'embedded', SBP_PUBLIC_URL: '' };
  const program = new SupervisedProcess({
    name: 'sbp-server',
    launch: () => ({
      command: process.execPath,
      args: [PROGRAM, 'start', '--port', '0', '--data-dir', dataDir],
      env: { ...process.env, ...env },
    }),
    ready: listeningLine,
    logFile: path.join(dataDir, 'sbp-server.log'),
    pidFile: path.join(dataDir, 'sbp-server.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: false,
  });
  const withFile = <T>(work: (file: Sqlite.Database) => T): T => {
    const file = new Sqlite(path.join(dataDir, 'statebridge.sqlite'));
    try {
      return work(file);
    } finally {
      file.close();
    }
  };
  return {
    start: async () => {
      await program.start();
      return program.url;
    },
    stop: () => program.stop(),
    emptyTables: () => {
      withFile((file) => {
        const tables = file.prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`);
        for (const { name } of tables.all() as { name: string }[]) {
          if (!KEPT.includes(name)) file.exec(`DELETE FROM "${name}"`);
        }
      });
      return Promise.resolve();
    },
    rebuild: () => runRebuild(['--data-dir', dataDir], env),
    rows: (table) => Promise.resolve(withFile((file) => file.prepare(`SELECT * FROM ${table}`).all() as Row[])),
    remove: () => rm(dataDir, { recursive: true, force: true }),
  };
}
