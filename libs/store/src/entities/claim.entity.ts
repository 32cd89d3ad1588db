import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Who may state owned facts of a session now: held while `turn_id` is set. The row survives the
 * release [A5].
 */
@Entity('claims')
@Index('claims_runner', ['runnerIncarnation'])
export class ClaimRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ name: 'turn_id', type: 'varchar', length: 36, nullable: true })
  turnId!: string | null;

  @Column({ type: 'bigint' })
  epoch!: number;

  @Column({ name: 'runner_slot', type: 'int' })
  runnerSlot!: number;

  @Column({ name: 'runner_incarnation', type: 'varchar', length: 36 })
  runnerIncarnation!: string;

  /**
   * Offset of the last owned fact that was acknowledged, in the session's partition; -1 before any
   * is known.
   */
  @Column({ name: 'head_offset', type: 'bigint' })
  headOffset!: number;
}
