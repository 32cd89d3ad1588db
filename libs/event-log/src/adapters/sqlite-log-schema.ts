import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryGeneratedColumn, Table } from 'typeorm';

/** A record of the embedded log. Rows are inserted and read, and never changed. */
@Entity('log_records')
export class LogRecordRow {
  /** AUTOINCREMENT: an offset is never given twice. */
  @PrimaryGeneratedColumn({ type: 'integer' })
  offset!: number;

  @Column({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ name: 'event_id', type: 'varchar', length: 36 })
  eventId!: string;

  /** The event as JSON. */
  @Column({ type: 'text' })
  body!: string;
}

export class LogRecords1780000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'log_records',
        columns: [
          {
            name: 'offset',
            type: 'integer',
            isPrimary: true,
            isGenerated: true,
            generationStrategy: 'increment',
          },
          { name: 'session_id', type: 'varchar', length: '36' },
          { name: 'event_id', type: 'varchar', length: '36' },
          { name: 'body', type: 'text' },
        ],
      }),
      true,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('log_records');
  }
}
