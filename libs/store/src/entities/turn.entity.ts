import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one turn. `request` and `output` are the content of the events that began and ended
 * it, as it stood there [A10]. A turn's messages stand in the transcript from `first_index` to
 * before `end_index`; those before `visible_end` have not been cut by an edit. The visible turns
 * of a session, in the order of `visible_end`, are its transcript [A11]. A turn that waits has no
 * number yet: its row has minus its place in the queue there. What an import has copied stands
 * before the first turn, in rows with the status `restored`, and what tells where a conversation
 * comes from in one with the status `note`.
 */
@Entity('turns')
@Index('turns_id', ['sessionId', 'turnId'])
@Index('turns_step', ['sessionId', 'steps'], { where: "status = 'completed'" })
@Index('turns_snapshot', ['sessionId', 'snapshotId'], { where: 'snapshot_id IS NOT NULL' })
@Index('turns_owed', ['sessionId', 'seq'], { where: 'seq IS NOT NULL' })
@Index('turns_visible', ['sessionId', 'visibleEnd'], { where: 'visible_end > first_index' })
export class TurnRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @PrimaryColumn({ type: 'int' })
  number!: number;

  @Column({ name: 'turn_id', type: 'varchar', length: 36 })
  turnId!: string;

  @Column({ type: 'bigint' })
  epoch!: number;

  @Column({ name: 'runner_slot', type: 'int' })
  runnerSlot!: number;

  @Column({ name: 'runner_incarnation', type: 'varchar', length: 36 })
  runnerIncarnation!: string;

  @Column({ type: 'varchar', length: 16 })
  status!: string;

  @Column({ type: 'int', nullable: true })
  seq!: number | null;

  @Column({ name: 'first_index', type: 'int' })
  firstIndex!: number;

  @Column({ name: 'end_index', type: 'int' })
  endIndex!: number;

  @Column({ name: 'visible_end', type: 'int' })
  visibleEnd!: number;

  /** The turn that brought the system messages in force; 0 for none. */
  @Column({ name: 'system_turn', type: 'int' })
  systemTurn!: number;

  @Column({ type: 'text' })
  model!: string;

  @Column({ name: 'checkpoint_every', type: 'int' })
  checkpointEvery!: number;

  @Column({ type: 'text' })
  request!: string;

  /** Null while the turn is open, and where another turn's start ended it. */
  @Column({ type: 'text', nullable: true })
  output!: string | null;

  @Column({ name: 'model_used', type: 'text', nullable: true })
  modelUsed!: string | null;

  @Column({ type: 'text', nullable: true })
  usage!: string | null;

  @Column({ name: 'cost_usd', type: 'double precision', nullable: true })
  costUsd!: number | null;

  @Column({ name: 'snapshot_id', type: 'varchar', length: 36, nullable: true })
  snapshotId!: string | null;

  @Column({ name: 'error_code', type: 'varchar', length: 64, nullable: true })
  errorCode!: string | null;

  /** 1 where the model itself did not take its messages: they are not sent to it again. */
  @Column({ type: 'int' })
  refused!: number;

  /** 1 where the model has not seen it: asked for again it is run again. */
  @Column({ type: 'int' })
  unreached!: number;

  /** Turns of the session that had completed after it. */
  @Column({ type: 'int', nullable: true })
  steps!: number | null;

  /** What the session had cost after it; null if that is not known. */
  @Column({ name: 'session_cost_usd', type: 'double precision', nullable: true })
  sessionCostUsd!: number | null;

  /** Bytes of the session's messages after it, as JSON. */
  @Column({ name: 'session_bytes', type: 'bigint', nullable: true })
  sessionBytes!: number | null;

  /** How often its model called tools of the surface; 0 while it has not ended. */
  @Column({ type: 'int' })
  rounds!: number;

  @Column({ name: 'started_at', type: 'varchar', length: 32 })
  startedAt!: string;

  @Column({ name: 'ended_at', type: 'varchar', length: 32, nullable: true })
  endedAt!: string | null;

  /** Of a turn that waits, what `turn.queued` said of it, as JSON. */
  @Column({ type: 'text', nullable: true })
  waiting!: string | null;
}
