import type { MigrationInterface, QueryRunner, Table, TableColumnOptions } from 'typeorm';

type ColumnPart = Partial<TableColumnOptions>;

export const INT: ColumnPart = { type: 'integer' };
export const BIGINT: ColumnPart = { type: 'bigint' };
export const KEY: ColumnPart = { isPrimary: true };
export const NULLABLE: ColumnPart = { isNullable: true };

export function varchar(length: number): ColumnPart {
  return { type: 'varchar', length: String(length) };
}

/** A column of these properties; of text where they name no type. */
export function column(name: string, ...parts: ColumnPart[]): TableColumnOptions {
  return Object.assign({ name, type: 'text' }, ...parts) as TableColumnOptions;
}

/** Makes the tables that are not there yet, on both dialects. */
export abstract class CreateTables implements MigrationInterface {
  /** Ends with the time in ms by which migrations are ordered. */
  abstract readonly name: string;

  constructor(private readonly tables: readonly Table[]) {}

  async up(runner: QueryRunner): Promise<void> {
    for (const table of this.tables) await runner.createTable(table, true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of this.tables) await runner.dropTable(table);
  }
}
