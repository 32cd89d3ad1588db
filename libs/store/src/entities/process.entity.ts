import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * A process that runs turns or holds surfaces: its leased slot, its one life, and its last sign of
 * it.
 */
@Entity('processes')
export class ProcessRow {
  @PrimaryColumn({ type: 'int' })
  slot!: number;

  @Column({ type: 'varchar', length: 36 })
  incarnation!: string;

  /** Ms since 1970 on the database's clock. */
  @Column({ name: 'heartbeat_at', type: 'bigint' })
  heartbeatAt!: number;

  /**
   * Whether the answers that this process may have left undelivered were made owed after its death:
   * 0 or 1.
   */
  @Column({ type: 'int' })
  reaped!: number;
}
