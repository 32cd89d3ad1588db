import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Read model: what the last surface of a session that said anything of its tools said of them. */
@Entity('surface_tools')
export class SurfaceToolsRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ name: 'attach_id', type: 'varchar', length: 36 })
  attachId!: string;

  /** The content of the surface's attach. */
  @Column({ type: 'text' })
  content!: string;
}
