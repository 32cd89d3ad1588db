import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Who may state owned events of a session now: held while `turn_id` is set. The row survives the
 * release [A5]; the indexes hold only rows that somebody must look after.
 */
@Entity('claims')
@Index('claims_held', ['runnerIncarnation'], { where: 'turn_id IS NOT NULL' })
@Index('claims_unconfirmed', ['sessionId'], { where: "unconfirmed <> ''" })
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

  /** Offset of the last owned event that was acknowledged; -1 before any is known. */
  @Column({ name: 'head_offset', type: 'bigint' })
  headOffset!: number;

  /**
   * Answers that were about to be given when a claim was released and of which nobody has said that
   * they arrived: `;<turn id>@<incarnation>` for each.
   */
  @Column({ type: 'text' })
  unconfirmed!: string;

  /** The last epoch at which a claim was taken away by a turn that interrupts; 0 before any was. */
  @Column({ name: 'interrupted_epoch', type: 'bigint', default: 0 })
  interruptedEpoch!: number;
}
