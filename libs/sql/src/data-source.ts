import type { DataSourceOptions, EntityManager } from 'typeorm';
import { DataSource, MigrationExecutor } from 'typeorm';
import { raw, sql } from './statement.js';

/** Opens one; if that fails nothing of it stays open. */
export async function openDataSource(options: DataSourceOptions): Promise<DataSource> {
  return new DataSource(options).initialize();
}

/** Runs what has not run of the migrations, in the transaction given. */
export async function runMigrations(transaction: EntityManager): Promise<void> {
  const { dataSource, queryRunner } = transaction;
  await new MigrationExecutor(dataSource, queryRunner).executePendingMigrations();
}

/** Drops these tables, but those to be kept. */
export async function dropTables(
  transaction: EntityManager,
  tables: readonly string[],
  keepTables: readonly string[],
): Promise<void> {
  for (const table of tables) {
    if (!keepTables.includes(table)) {
      await sql(transaction)`DROP TABLE ${raw(transaction.dataSource.driver.escape(table))}`;
    }
  }
}
