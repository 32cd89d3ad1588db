import { Column, Entity, PrimaryColumn } from 'typeorm';

/**
 * The most recently opened session of a principal's agent: what a request that names none belongs
 * to.
 */
@Entity('live_sessions')
export class LiveSessionRow {
  @PrimaryColumn({ type: 'varchar', length: 256 })
  principal!: string;

  @PrimaryColumn({ name: 'agent_id', type: 'varchar', length: 256 })
  agentId!: string;

  @Column({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @Column({ name: 'opened_epoch', type: 'bigint' })
  openedEpoch!: number;
}
