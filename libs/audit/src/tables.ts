import type { MigrationInterface, QueryRunner, TableColumnOptions } from 'typeorm';
import { Column, Entity, Index, PrimaryColumn, Table } from 'typeorm';

/** Tables that a rebuild keeps: a trail made anew would hide what was changed in the log. */
export const AUDIT_TABLES: readonly string[] = [
  'audit_records',
  'audit_heads',
  'audit_checkpoints',
];

/** One record of the log. Rows are inserted and read, and never changed. */
@Entity('audit_records')
@Index('audit_records_of_session', ['sessionId', 'partition', 'offset'])
@Index('audit_records_of_principal', ['principal', 'partition', 'offset'])
export class AuditRecordRow {
  @PrimaryColumn({ type: 'integer' })
  partition!: number;

  @PrimaryColumn({ type: 'bigint' })
  offset!: number;

  /** Null, as all that the event says, where the record cannot be read. */
  @Column({ name: 'event_id', type: 'varchar', length: 36, nullable: true })
  eventId!: string | null;

  /** Of the event, or `unreadable`. */
  @Column({ type: 'varchar', length: 64 })
  type!: string;

  @Column({ name: 'session_id', type: 'varchar', length: 36, nullable: true })
  sessionId!: string | null;

  @Column({ name: 'turn_id', type: 'varchar', length: 36, nullable: true })
  turnId!: string | null;

  @Column({ name: 'occurred_at', type: 'varchar', length: 40, nullable: true })
  occurredAt!: string | null;

  @Column({ type: 'varchar', length: 256, nullable: true })
  principal!: string | null;

  @Column({ type: 'varchar', length: 16, nullable: true })
  via!: string | null;

  @Column({ type: 'varchar', length: 256, nullable: true })
  address!: string | null;

  @Column({ name: 'request_id', type: 'varchar', length: 256, nullable: true })
  requestId!: string | null;

  /** SHA-256 of the record's bytes, in hex. */
  @Column({ name: 'record_hash', type: 'varchar', length: 64 })
  recordHash!: string;

  /** SHA-256 over the chain before it, its place and `record_hash`, in hex. */
  @Column({ type: 'varchar', length: 64 })
  chain!: string;

  /** Signature of the row, in hex. */
  @Column({ type: 'varchar', length: 64 })
  seal!: string;
}

/** Where a partition's trail ends. */
@Entity('audit_heads')
export class AuditHeadRow {
  @PrimaryColumn({ type: 'integer' })
  partition!: number;

  @Column({ name: 'next_offset', type: 'bigint' })
  nextOffset!: number;

  @Column({ type: 'varchar', length: 64 })
  chain!: string;

  /** Rows so far. */
  @Column({ type: 'bigint' })
  records!: number;

  /** Checkpoints so far. */
  @Column({ type: 'integer' })
  checkpoints!: number;

  @Column({ type: 'varchar', length: 64 })
  signature!: string;
}

/** Where a partition's trail was at a time. Rows are inserted and read, and never changed. */
@Entity('audit_checkpoints')
export class AuditCheckpointRow {
  @PrimaryColumn({ type: 'integer' })
  partition!: number;

  /** From 1, without gaps. */
  @PrimaryColumn({ type: 'integer' })
  number!: number;

  @Column({ name: 'next_offset', type: 'bigint' })
  nextOffset!: number;

  @Column({ type: 'varchar', length: 64 })
  chain!: string;

  @Column({ type: 'bigint' })
  records!: number;

  /** In ms since 1970. */
  @Column({ type: 'bigint' })
  at!: number;

  @Column({ type: 'varchar', length: 64 })
  signature!: string;
}

const key = { isPrimary: true };
const int: Partial<TableColumnOptions> = { type: 'integer' };
const bigint: Partial<TableColumnOptions> = { type: 'bigint' };
const nullable = { isNullable: true };

function text(length: number): Partial<TableColumnOptions> {
  return { type: 'varchar', length: String(length) };
}

function column(name: string, ...options: Partial<TableColumnOptions>[]): TableColumnOptions {
  return Object.assign({ name, type: 'text' }, ...options) as TableColumnOptions;
}

const tables = [
  new Table({
    name: 'audit_records',
    columns: [
      column('partition', int, key),
      column('offset', bigint, key),
      column('event_id', text(36), nullable),
      column('type', text(64)),
      column('session_id', text(36), nullable),
      column('turn_id', text(36), nullable),
      column('occurred_at', text(40), nullable),
      column('principal', text(256), nullable),
      column('via', text(16), nullable),
      column('address', text(256), nullable),
      column('request_id', text(256), nullable),
      column('record_hash', text(64)),
      column('chain', text(64)),
      column('seal', text(64)),
    ],
    indices: [
      { name: 'audit_records_of_session', columnNames: ['session_id', 'partition', 'offset'] },
      { name: 'audit_records_of_principal', columnNames: ['principal', 'partition', 'offset'] },
    ],
  }),
  new Table({
    name: 'audit_heads',
    columns: [
      column('partition', int, key),
      column('next_offset', bigint),
      column('chain', text(64)),
      column('records', bigint),
      column('checkpoints', int),
      column('signature', text(64)),
    ],
  }),
  new Table({
    name: 'audit_checkpoints',
    columns: [
      column('partition', int, key),
      column('number', int, key),
      column('next_offset', bigint),
      column('chain', text(64)),
      column('records', bigint),
      column('at', bigint),
      column('signature', text(64)),
    ],
  }),
];

class CreateAudit1800000000100 implements MigrationInterface {
  readonly name = 'CreateAudit1800000000100';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.createTable(table, true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.dropTable(table);
  }
}

/** The tables of the trail, which nobody else reads. */
export const auditSchema = {
  entities: [AuditRecordRow, AuditHeadRow, AuditCheckpointRow],
  migrations: [CreateAudit1800000000100],
};
