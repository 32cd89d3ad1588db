import { BIGINT, CreateTables, INT, KEY, NULLABLE, column, varchar } from '#libs/sql';
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

const tables = [
  new Table({
    name: 'audit_records',
    columns: [
      column('partition', INT, KEY),
      column('offset', BIGINT, KEY),
      column('event_id', varchar(36), NULLABLE),
      column('type', varchar(64)),
      column('session_id', varchar(36), NULLABLE),
      column('turn_id', varchar(36), NULLABLE),
      column('occurred_at', varchar(40), NULLABLE),
      column('principal', varchar(256), NULLABLE),
      column('via', varchar(16), NULLABLE),
      column('address', varchar(256), NULLABLE),
      column('request_id', varchar(256), NULLABLE),
      column('record_hash', varchar(64)),
      column('chain', varchar(64)),
      column('seal', varchar(64)),
    ],
    indices: [
      { name: 'audit_records_of_session', columnNames: ['session_id', 'partition', 'offset'] },
      { name: 'audit_records_of_principal', columnNames: ['principal', 'partition', 'offset'] },
    ],
  }),
  new Table({
    name: 'audit_heads',
    columns: [
      column('partition', INT, KEY),
      column('next_offset', BIGINT),
      column('chain', varchar(64)),
      column('records', BIGINT),
      column('checkpoints', INT),
      column('signature', varchar(64)),
    ],
  }),
  new Table({
    name: 'audit_checkpoints',
    columns: [
      column('partition', INT, KEY),
      column('number', INT, KEY),
      column('next_offset', BIGINT),
      column('chain', varchar(64)),
      column('records', BIGINT),
      column('at', BIGINT),
      column('signature', varchar(64)),
    ],
  }),
];

class CreateAudit1800000000100 extends CreateTables {
  readonly name = 'CreateAudit1800000000100';

  constructor() {
    super(tables);
  }
}

/** The tables of the trail, which nobody else reads. */
export const auditSchema = {
  entities: [AuditRecordRow, AuditHeadRow, AuditCheckpointRow],
  migrations: [CreateAudit1800000000100],
};
