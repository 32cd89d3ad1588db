import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one answer of a model that called tools of the surface. `content` is that of its
 * event: what the model said, and the calls.
 */
@Entity('tool_rounds')
@Index('tool_rounds_called', ['sessionId', 'calledSnapshotId'])
@Index('tool_rounds_returned', ['sessionId', 'returnedSnapshotId'], {
  where: 'returned_snapshot_id IS NOT NULL',
})
export class ToolRoundRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @PrimaryColumn({ name: 'turn_number', type: 'int' })
  turnNumber!: number;

  @PrimaryColumn({ type: 'int' })
  round!: number;

  @Column({ type: 'text' })
  content!: string;

  /** 1 where the model is shown images that tools return. */
  @Column({ name: 'shows_images', type: 'int' })
  showsImages!: number;

  @Column({ type: 'text', nullable: true })
  usage!: string | null;

  @Column({ name: 'cost_usd', type: 'double precision', nullable: true })
  costUsd!: number | null;

  /** The snapshot before the calls. */
  @Column({ name: 'called_snapshot_id', type: 'varchar', length: 36 })
  calledSnapshotId!: string;

  @Column({ name: 'called_at', type: 'varchar', length: 32 })
  calledAt!: string;

  /** The snapshot after the calls; null while one of them is open. */
  @Column({ name: 'returned_snapshot_id', type: 'varchar', length: 36, nullable: true })
  returnedSnapshotId!: string | null;

  @Column({ name: 'returned_at', type: 'varchar', length: 32, nullable: true })
  returnedAt!: string | null;
}
