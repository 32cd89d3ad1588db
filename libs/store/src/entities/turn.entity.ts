import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one turn, its request and what came of it. JSON columns hold OpenAI messages as they
 * came.
 */
@Entity('turns')
@Index('turns_seq', ['sessionId', 'seq'])
@Index('turns_number', ['sessionId', 'number'])
@Index('turns_runner', ['runnerIncarnation', 'endedMs'])
export class TurnRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @PrimaryColumn({ name: 'turn_id', type: 'varchar', length: 36 })
  turnId!: string;

  @Column({ type: 'int' })
  number!: number;

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

  @Column({ type: 'int' })
  keeps!: number;

  @Column({ type: 'text' })
  messages!: string;

  @Column({ type: 'text', nullable: true })
  system!: string | null;

  @Column({ type: 'text' })
  output!: string;

  @Column({ type: 'varchar', length: 256 })
  model!: string;

  @Column({ type: 'text' })
  options!: string;

  @Column({ name: 'checkpoint_every', type: 'int' })
  checkpointEvery!: number;

  @Column({ name: 'model_used', type: 'text', nullable: true })
  modelUsed!: string | null;

  @Column({ type: 'text', nullable: true })
  usage!: string | null;

  @Column({ name: 'cost_usd', type: 'double precision', nullable: true })
  costUsd!: number | null;

  @Column({ name: 'snapshot_id', type: 'varchar', length: 36, nullable: true })
  snapshotId!: string | null;

  @Column({ type: 'text', nullable: true })
  error!: string | null;

  @Column({ name: 'started_at', type: 'varchar', length: 32 })
  startedAt!: string;

  @Column({ name: 'ended_at', type: 'varchar', length: 32, nullable: true })
  endedAt!: string | null;

  /** `ended_at` in ms since 1970. */
  @Column({ name: 'ended_ms', type: 'bigint', nullable: true })
  endedMs!: number | null;
}
