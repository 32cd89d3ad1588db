import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: a session that another one's log has promised [A17]. The two logs may be folded in
 * any order, so whichever comes first writes the row; the columns that only the promise knows are
 * null until then.
 */
@Entity('promised_sessions')
@Index('promised_sessions_open', ['maker', 'sessionId'], { where: 'kept = 0' })
@Index('promised_sessions_source', ['sourceId', 'createdAt', 'sessionId'], {
  where: 'source_id IS NOT NULL',
})
export class PromisedSessionRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  /** The session whose log promised it. */
  @Column({ name: 'source_id', type: 'varchar', length: 36, nullable: true })
  sourceId!: string | null;

  /** `handoff` or `import`. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  type!: string | null;

  /** The data of the event. */
  @Column({ type: 'text', nullable: true })
  data!: string | null;

  /** The content of the event. */
  @Column({ type: 'text', nullable: true })
  content!: string | null;

  /** The process that opens it. */
  @Column({ type: 'varchar', length: 36, nullable: true })
  maker!: string | null;

  /** 1 once it is open. */
  @Column({ type: 'int' })
  kept!: number;

  @Column({ name: 'created_at', type: 'varchar', length: 32, nullable: true })
  createdAt!: string | null;
}
