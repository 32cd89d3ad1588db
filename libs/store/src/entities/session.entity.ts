import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one session as folded from its log. `state` is the fold; the other columns repeat
 * what queries look for. What is scanned periodically is indexed where it is live, so that idle
 * sessions cost no scan anything [A11].
 */
@Entity('sessions')
@Index('sessions_due', ['dueAt'], { where: 'due_at IS NOT NULL' })
@Index('sessions_next_turn', ['nextHolder'], {
  where: 'next_turn_id IS NOT NULL AND open_turn_id IS NULL',
})
@Index('sessions_labelled', ['principal', 'label', 'createdAt', 'sessionId'], {
  where: 'label IS NOT NULL',
})
@Index('sessions_listed', ['principal', 'createdAt', 'sessionId'])
@Index('sessions_of_agent', ['principal', 'agentId', 'createdAt', 'sessionId'])
@Index('sessions_in_status', ['principal', 'status', 'createdAt', 'sessionId'])
@Index('sessions_suspended', ['suspendedAt'], { where: 'suspended_at IS NOT NULL' })
@Index('sessions_attached', ['gatewayIncarnation'], { where: 'attach_id IS NOT NULL' })
export class SessionRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ type: 'varchar', length: 16 })
  phase!: string;

  /** As whoever opened it called it. */
  @Column({ type: 'varchar', length: 120, nullable: true })
  label!: string | null;

  /** How it is shown: what `shownLife` says; empty before it is open. */
  @Column({ type: 'varchar', length: 16 })
  status!: string;

  /** Whose session it is; empty before it is open. */
  @Column({ type: 'varchar', length: 256 })
  principal!: string;

  @Column({ name: 'agent_id', type: 'varchar', length: 256 })
  agentId!: string;

  @Column({ name: 'created_at', type: 'varchar', length: 32 })
  createdAt!: string;

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

  /**
   * When somebody must look after the turn that is open, in ms since 1970: 0 for at once, later
   * where its calls wait [A19].
   */
  @Column({ name: 'due_at', type: 'bigint', nullable: true })
  dueAt!: number | null;

  /** The head of the session's queue. */
  @Column({ name: 'next_turn_id', type: 'varchar', length: 36, nullable: true })
  nextTurnId!: string | null;

  /** The process that starts it. */
  @Column({ name: 'next_holder', type: 'varchar', length: 36, nullable: true })
  nextHolder!: string | null;

  /** When somebody suspended it by its status, in ms since 1970. */
  @Column({ name: 'suspended_at', type: 'bigint', nullable: true })
  suspendedAt!: number | null;

  @Column({ name: 'attach_id', type: 'varchar', length: 36, nullable: true })
  attachId!: string | null;

  /** How often a call of a tool was given to a surface. */
  @Column({ type: 'int' })
  called!: number;

  @Column({ name: 'gateway_slot', type: 'int', nullable: true })
  gatewaySlot!: number | null;

  @Column({ name: 'gateway_incarnation', type: 'varchar', length: 36, nullable: true })
  gatewayIncarnation!: string | null;
}
