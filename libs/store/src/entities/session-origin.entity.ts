import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** Read model: where a session comes from that no request has opened. */
@Entity('session_origins')
@Index('session_origins_source', ['sourceId', 'createdAt', 'sessionId'])
export class SessionOriginRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  /** `fork`, `import` or `handoff`. */
  @Column({ type: 'varchar', length: 16 })
  type!: string;

  @Column({ name: 'source_id', type: 'varchar', length: 36 })
  sourceId!: string;

  /** JSON of the event's `origin`. */
  @Column({ type: 'text' })
  origin!: string;

  /** The event's content: its label, and what an import has brought. */
  @Column({ type: 'text' })
  content!: string;

  /** Turns that had completed when it was opened. */
  @Column({ type: 'int' })
  steps!: number;

  /** Messages of its conversation then, without a note. */
  @Column({ type: 'int' })
  messages!: number;

  @Column({ name: 'created_at', type: 'varchar', length: 32 })
  createdAt!: string;
}
