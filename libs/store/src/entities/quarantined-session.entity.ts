import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: a session with an event that could not be folded [A12]; its row in `sessions` says so
 * as well. Records whose key is no session id have one row for each partition.
 */
@Entity('quarantined_sessions')
@Index('quarantined_sessions_partition', ['logPartition', 'sessionId'])
export class QuarantinedSessionRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ name: 'log_partition', type: 'int' })
  logPartition!: number;

  /** Offset of the event that could not be folded. */
  @Column({ name: 'since_offset', type: 'bigint' })
  sinceOffset!: number;

  /** `QuarantineReason`. */
  @Column({ type: 'varchar', length: 16 })
  reason!: string;

  /** For an operator; nothing of what people or models wrote. */
  @Column({ type: 'text' })
  detail!: string;

  /** How many of its events wait in `quarantined_events`. */
  @Column({ name: 'event_count', type: 'int' })
  eventCount!: number;
}
