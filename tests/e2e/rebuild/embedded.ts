import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Sqlite from 'better-sqlite3';
import { AUDIT_TABLES } from '#libs/audit';
import { guardFolder } from '../../../tools/supervise/index.js';
import { EMBEDDED_SETTINGS, embeddedProgram } from '../topology/embedded.js';
import { runCommand, runRebuild } from './command.js';
import type { Row } from '../topology/postgres.js';
import type { Rebuildable } from './rebuildable.js';

/** Tables of an embedded installation that a rebuild does not make. */
const KEPT = ['log_records', 'credentials', ...AUDIT_TABLES];

export async function rebuildableEmbedded(): Promise<Rebuildable> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-rebuild-'));
  guardFolder(dataDir);
  const program = embeddedProgram(dataDir);
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
        const tables = file.prepare(
          `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
        );
        for (const { name } of tables.all() as { name: string }[]) {
          if (!KEPT.includes(name)) file.exec(`DELETE FROM "${name}"`);
        }
      });
      return Promise.resolve();
    },
    rebuild: () => runRebuild(['--data-dir', dataDir], EMBEDDED_SETTINGS),
    write: (sessionId, text) => {
      const insert = 'INSERT INTO log_records (session_id, event_id, body) VALUES (?, ?, ?)';
      withFile((file) => file.prepare(insert).run(sessionId, randomUUID(), text));
      return Promise.resolve();
    },
    execute: (statement) => {
      withFile((file) => file.exec(statement));
      return Promise.resolve();
    },
    command: (...args) => runCommand([...args, '--data-dir', dataDir], EMBEDDED_SETTINGS),
    rows: (table) =>
      Promise.resolve(withFile((file) => file.prepare(`SELECT * FROM ${table}`).all() as Row[])),
    remove: () => rm(dataDir, { recursive: true, force: true }),
  };
}
