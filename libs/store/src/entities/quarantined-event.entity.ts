import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Read model: a record of a quarantined session, as it stands in the log [A12]. */
@Entity('quarantined_events')
@Index('quarantined_events_session', ['sessionId', 'logOffset'])
export class QuarantinedEventRow {
  @PrimaryColumn({ name: 'log_partition', type: 'int' })
  logPartition!: number;

  @PrimaryColumn({ name: 'log_offset', type: 'bigint' })
  logOffset!: number;

  @Column({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  /** Null where the record has none. */
  @Column({ name: 'event_id', type: 'varchar', length: 36, nullable: true })
  eventId!: string | null;

  @Column({ name: 'event_type', type: 'varchar', length: 64, nullable: true })
  eventType!: string | null;

  /** `QuarantineReason`, or `behind`: it stands behind one that could not be folded. */
  @Column({ type: 'varchar', length: 16 })
  reason!: string;

  @Column({ type: 'text' })
  value!: string;
}
