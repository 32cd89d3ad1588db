import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A process that runs turns or holds surfaces: its leased slot, its one life, its sign of it. */
@Entity('processes')
export class ProcessRow {
  @PrimaryColumn({ type: 'int' })
  slot!: number;

  @Column({ type: 'varchar', length: 36 })
  incarnation!: string;

  /**
   * Rises with each heartbeat. Others judge by whether it rises, on their own clocks, because the
   * database's may be set.
   */
  @Column({ type: 'int' })
  beat!: number;

  /** Ms since 1970 on the database's clock; only says when a slot may be leased again. */
  @Column({ name: 'heartbeat_at', type: 'bigint' })
  heartbeatAt!: number;

  /** 1 once the process has handed over what it had and ended: it is silent at once. */
  @Column({ name: 'has_left', type: 'int' })
  hasLeft!: number;

  /** Whether what it left behind was seen to after its death: 0 or 1. */
  @Column({ type: 'int' })
  reaped!: number;
}
