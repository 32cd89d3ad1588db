import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryColumn, Table } from 'typeorm';

/*
 * The log's table of positions, which claims and orphans read: the library of the log, which makes
 * it, stands above this one.
 */

@Entity('consumer_positions')
export class PositionRow {
  @PrimaryColumn({ type: 'varchar', length: 100 })
  consumer!: string;

  @PrimaryColumn({ type: 'integer' })
  partition!: number;

  @Column({ name: 'next_offset', type: 'bigint' })
  nextOffset!: number;
}

export class CreatePositions1780000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const columns = [
      { name: 'consumer', type: 'varchar', length: '100', isPrimary: true },
      { name: 'partition', type: 'integer', isPrimary: true },
      { name: 'next_offset', type: 'bigint' },
    ];
    await runner.createTable(new Table({ name: 'consumer_positions', columns }), true);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('consumer_positions');
  }
}
