import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * Read model: one call of a tool of the surface, of a round of a turn or, with 0 for its turn and
 * round, of a client of MCP. `content` is that of the event that brought its outcome.
 */
@Entity('tool_calls')
@Index('tool_calls_round', ['sessionId', 'turnNumber', 'round', 'position'])
export class ToolCallRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @PrimaryColumn({ name: 'call_id', type: 'varchar', length: 36 })
  callId!: string;

  @Column({ name: 'turn_number', type: 'int' })
  turnNumber!: number;

  @Column({ type: 'int' })
  round!: number;

  /** Among the calls of its round, from 0. */
  @Column({ type: 'int' })
  position!: number;

  /** Of a client of MCP: the call itself, as JSON; else it is in the content of its round. */
  @Column({ type: 'text', nullable: true })
  made!: string | null;

  /** Of the event by which a human decided about it; null where none did. */
  @Column({ name: 'decision_id', type: 'varchar', length: 36, nullable: true })
  decisionId!: string | null;

  /** Null while it is open. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  outcome!: string | null;

  /** Null also where nothing came of it. */
  @Column({ type: 'text', nullable: true })
  content!: string | null;

  @Column({ name: 'returned_at', type: 'varchar', length: 32, nullable: true })
  returnedAt!: string | null;
}
