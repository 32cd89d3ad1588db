import type { EntityManager, MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryColumn, Table } from 'typeorm';
import type { Database } from '#libs/sql';
import { sql } from '#libs/sql';
import type { LogBatch } from './ports/event-log.js';

/** How far a consumer has read a partition: stored with the effects of what it read. */
@Entity('consumer_positions')
export class ConsumerPositionRow {
  @PrimaryColumn({ type: 'varchar', length: 100 })
  consumer!: string;

  @PrimaryColumn({ type: 'integer' })
  partition!: number;

  /** Offset of the first record that was not read. */
  @Column({ name: 'next_offset', type: 'bigint' })
  nextOffset!: number;
}

export class ConsumerPositions1780000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'consumer_positions',
        columns: [
          { name: 'consumer', type: 'varchar', length: '100', isPrimary: true },
          { name: 'partition', type: 'integer', isPrimary: true },
          { name: 'next_offset', type: 'bigint' },
        ],
      }),
      true,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('consumer_positions');
  }
}

/** Where the consumers of the log stand, in the database that holds their effects [A4]. */
export class ConsumerPositions {
  constructor(private readonly database: Database) {}

  /** The offset to go on from; 0 for a consumer that has read nothing of the partition. */
  async load(consumer: string, partition: number): Promise<number> {
    const { rows } = await this.database.read(
      (reader) => sql(reader)<{ next_offset: number }>`
        SELECT next_offset FROM consumer_positions WHERE consumer = ${consumer} AND "partition" = ${partition}`,
    );
    return rows[0]?.next_offset ?? 0;
  }

  /** The offsets to go on from, of the partitions that the consumer has begun. */
  async loadAll(consumer: string): Promise<ReadonlyMap<number, number>> {
    const { rows } = await this.database.read(
      (reader) => sql(reader)<{ partition: number; next_offset: number }>`
        SELECT "partition", next_offset FROM consumer_positions WHERE consumer = ${consumer}`,
    );
    return new Map(rows.map((row) => [row.partition, row.next_offset]));
  }

  /**
   * Moves a consumer over a batch, as the first statement of the transaction that holds the batch's
   * effects. False: the consumer does not stand where the batch begins, so another has read it; the
   * transaction must then do nothing. One that is reading it now is waited for [A4].
   */
  async advance(transaction: EntityManager, batch: LogBatch): Promise<boolean> {
    const { consumer, partition, from, next } = batch;
    const moved = await sql(transaction)`
      UPDATE consumer_positions SET next_offset = ${next}
      WHERE consumer = ${consumer} AND "partition" = ${partition} AND next_offset = ${from}`;
    if (moved.affected === 1) return true;
    if (from !== 0) return false;
    const begun = await sql(transaction)`
      INSERT INTO consumer_positions (consumer, "partition", next_offset) VALUES (${consumer}, ${partition}, ${next})
      ON CONFLICT DO NOTHING`;
    return begun.affected === 1;
  }
}
