import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one session as folded from its log. `state` is the fold; the other columns repeat
 * what queries look for. The indexes hold live sessions only, so that idle ones cost no scan
 * anything [A11].
 */
@Entity('sessions')
@Index('sessions_open_turn', ['openTurnId'], { where: 'open_turn_id IS NOT NULL' })
@Index('sessions_next_turn', ['nextHolder'], {
  where: 'next_turn_id IS NOT NULL AND open_turn_id IS NULL',
})
@Index('sessions_attached', ['gatewayIncarnation'], { where: 'attach_id IS NOT NULL' })
export class SessionRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ type: 'varchar', length: 16 })
  phase!: string;

  /** Whose session it is; empty before it is open. */
  @Column({ type: 'varchar', length: 256 })
  principal!: string;

  /** The log's partition that the session is in. */
  @Column({ name: 'log_partition', type: 'int' })
  logPartition!: number;

  @Column({ type: 'bigint' })
  epoch!: number;

  /** JSON of the domain's `SessionState`. */
  @Column({ type: 'text' })
  state!: string;

  @Column({ type: 'int' })
  head!: number;

  @Column({ name: 'open_turn_id', type: 'varchar', length: 36, nullable: true })
  openTurnId!: string | null;

  @Column({ name: 'open_epoch', type: 'bigint', nullable: true })
  openEpoch!: number | null;

  /** The head of the session's queue. */
  @Column({ name: 'next_turn_id', type: 'varchar', length: 36, nullable: true })
  nextTurnId!: string | null;

  /** The process that starts it. */
  @Column({ name: 'next_holder', type: 'varchar', length: 36, nullable: true })
  nextHolder!: string | null;

  @Column({ name: 'attach_id', type: 'varchar', length: 36, nullable: true })
  attachId!: string | null;

  @Column({ name: 'gateway_slot', type: 'int', nullable: true })
  gatewaySlot!: number | null;

  @Column({ name: 'gateway_incarnation', type: 'varchar', length: 36, nullable: true })
  gatewayIncarnation!: string | null;
}
