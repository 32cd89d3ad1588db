import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Read model: how many events were passed over, because they are unknown and optional [A12]. */
@Entity('skipped_events')
export class SkippedEventRow {
  @PrimaryColumn({ name: 'log_partition', type: 'int' })
  logPartition!: number;

  @PrimaryColumn({ name: 'event_type', type: 'varchar', length: 64 })
  eventType!: string;

  @Column({ type: 'int' })
  count!: number;
}
