import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * What a repeated request is known by, and the turn that it belongs to. Kept for a day; written
 * before the turn is in the log, and by the fold.
 */
@Entity('turn_keys')
@Index('turn_keys_created', ['createdAt'])
export class TurnKeyRow {
  @PrimaryColumn({ type: 'varchar', length: 256 })
  principal!: string;

  @PrimaryColumn({ name: 'agent_id', type: 'varchar', length: 256 })
  agentId!: string;

  @PrimaryColumn({ type: 'varchar', length: 300 })
  name!: string;

  @Column({ name: 'turn_id', type: 'varchar', length: 36 })
  turnId!: string;

  /** Null until it is known in which session the turn is to begin. */
  @Column({ name: 'session_id', type: 'varchar', length: 36, nullable: true })
  sessionId!: string | null;

  /** SHA-256 of the request's body, in hex. */
  @Column({ name: 'body_hash', type: 'varchar', length: 64 })
  bodyHash!: string;

  /** The process that sees to it that the turn begins. */
  @Column({ name: 'holder_incarnation', type: 'varchar', length: 36 })
  holderIncarnation!: string;

  /** Of who asked first: `there`, `gone` before there was an answer, or `answered`. */
  @Column({ type: 'varchar', length: 16 })
  caller!: string;

  @Column({ name: 'created_at', type: 'bigint' })
  createdAt!: number;
}
