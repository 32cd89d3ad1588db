import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Read model: one export. The bundle itself is made again from the turns up to `turn_number`. */
@Entity('exports')
@Index('exports_session', ['sessionId', 'createdAt', 'exportId'])
export class ExportRow {
  @PrimaryColumn({ name: 'export_id', type: 'varchar', length: 36 })
  exportId!: string;

  @Column({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  /** The event's content: its label. */
  @Column({ type: 'text' })
  content!: string;

  @Column({ name: 'created_at', type: 'varchar', length: 32 })
  createdAt!: string;

  @Column({ name: 'expires_at', type: 'varchar', length: 32 })
  expiresAt!: string;

  @Column({ name: 'turn_number', type: 'int' })
  turnNumber!: number;

  @Column({ name: 'message_count', type: 'int' })
  messageCount!: number;

  @Column({ name: 'bundle_cid', type: 'varchar', length: 64 })
  bundleCid!: string;

  /** JSON of the domain's `ExportFate`. */
  @Column({ type: 'text' })
  fate!: string;
}
