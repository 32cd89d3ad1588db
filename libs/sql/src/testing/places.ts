import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryColumn, Table } from 'typeorm';
import { asAdministrator, newDatabase } from '../../testing/src/test-database.js';
import type { Database } from '../database.js';
import { openPostgres } from '../postgres/postgres.js';
import { openSqlite } from '../sqlite/sqlite.js';
import { sql } from '../statement.js';

@Entity('notes')
export class NoteRow {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id!: string;

  @Column({ type: 'bigint' })
  size!: number;

  @Column({ type: 'text', nullable: true })
  body!: string | null;
}

class Notes1780000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const columns = [
      { name: 'id', type: 'varchar', length: '36', isPrimary: true },
      { name: 'size', type: 'bigint' },
      { name: 'body', type: 'text', isNullable: true },
    ];
    await runner.createTable(new Table({ name: 'notes', columns }), true);
    await runner.createTable(
      new Table({ name: 'kept', columns: [{ name: 'id', type: 'varchar', isPrimary: true }] }),
      true,
    );
  }

  async down(): Promise<void> {
    await Promise.resolve();
  }
}

export const schema = { entities: [NoteRow], migrations: [Notes1780000000000] };

const FILE = join('data', 'test.sqlite');

export interface Place {
  /** Opens the place's database; a second time as another process would. */
  open(): Promise<Database>;
  remove(): Promise<void>;
}

export interface SqlitePlace extends Place {
  readonly directory: string;
}

export async function sqlitePlace(): Promise<SqlitePlace> {
  const directory = await mkdtemp(join(tmpdir(), 'sql-'));
  return {
    directory,
    open: () => openSqlite({ ...schema, file: join(directory, FILE) }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** What a process finds that opens the files as they are now: as if this one had been killed. */
export async function filesAsNow<T>(
  { directory }: SqlitePlace,
  look: (database: Database) => Promise<T>,
): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), 'sql-copy-'));
  try {
    await cp(directory, copy, { recursive: true });
    const database = await openSqlite({ ...schema, file: join(copy, FILE) });
    try {
      return await look(database);
    } finally {
      await database.close();
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

export interface PostgresPlace extends Place {
  readonly url: string;
  /** Ends every connection to it, as an administrator does. */
  endConnections(): Promise<void>;
}

export async function postgresPlace(): Promise<PostgresPlace> {
  const { name, url, remove } = await newDatabase();
  return {
    url,
    open: () => openPostgres({ ...schema, url, poolSize: 4 }),
    endConnections: () =>
      asAdministrator(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
      ),
    remove,
  };
}

export function insert(id: string, size = 1) {
  return async (transaction: EntityManager): Promise<void> => {
    await sql(transaction)`INSERT INTO notes (id, size, body) VALUES (${id}, ${size}, ${null})`;
  };
}

export async function noteIds(database: Database): Promise<string[]> {
  const { rows } = await database.read(
    (reader) => sql(reader)<{ id: string }>`SELECT id FROM notes ORDER BY id`,
  );
  return rows.map(({ id }) => id);
}
