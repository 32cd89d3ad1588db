import type { MigrationInterface, QueryRunner } from 'typeorm';
import { Column, Entity, PrimaryColumn, Table } from 'typeorm';

/** What was counted on a day; a value is added to, or for a maximum raised. */
@Entity('usage_counters')
class UsageCounterRow {
  /** In UTC: 2026-05-10. */
  @PrimaryColumn({ type: 'varchar', length: 10 })
  day!: string;

  @PrimaryColumn({ type: 'varchar', length: 256 })
  principal!: string;

  @PrimaryColumn({ name: 'agent_id', type: 'varchar', length: 256 })
  agentId!: string;

  /** As the caller named it; empty where there is none. */
  @PrimaryColumn({ type: 'varchar', length: 200 })
  model!: string;

  /** Empty where no surface was attached. */
  @PrimaryColumn({ name: 'device_type', type: 'varchar', length: 64 })
  deviceType!: string;

  /** As `counters.ts` names it. */
  @PrimaryColumn({ type: 'varchar', length: 80 })
  counter!: string;

  @Column({ type: 'bigint' })
  value!: number;
}

/** What must be known of a session to count its next event. */
@Entity('usage_sessions')
class UsageSessionRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  /** The fold of its events, as JSON. */
  @Column({ type: 'text' })
  state!: string;

  /** Models and devices of the turns that are not over, as JSON. */
  @Column({ type: 'text' })
  turns!: string;
}

/** A turn that waits in the Tether, until it is acknowledged. */
@Entity('usage_waiting')
class UsageWaitingRow {
  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 36 })
  sessionId!: string;

  @PrimaryColumn({ type: 'integer' })
  seq!: number;

  @Column({ type: 'varchar', length: 200 })
  model!: string;

  @Column({ name: 'device_type', type: 'varchar', length: 64 })
  deviceType!: string;

  /** In ms since 1970. */
  @Column({ name: 'waiting_since', type: 'bigint' })
  waitingSince!: number;
}

const varchar = (name: string, length: number) => {
  return { name, type: 'varchar', length: String(length) };
};
const key = { isPrimary: true };

const tables = [
  new Table({
    name: 'usage_counters',
    columns: [
      { ...varchar('day', 10), ...key },
      { ...varchar('principal', 256), ...key },
      { ...varchar('agent_id', 256), ...key },
      { ...varchar('model', 200), ...key },
      { ...varchar('device_type', 64), ...key },
      { ...varchar('counter', 80), ...key },
      { name: 'value', type: 'bigint' },
    ],
  }),
  new Table({
    name: 'usage_sessions',
    columns: [
      { ...varchar('session_id', 36), ...key },
      { name: 'state', type: 'text' },
      { name: 'turns', type: 'text' },
    ],
  }),
  new Table({
    name: 'usage_waiting',
    columns: [
      { ...varchar('session_id', 36), ...key },
      { name: 'seq', type: 'integer', ...key },
      varchar('model', 200),
      varchar('device_type', 64),
      { name: 'waiting_since', type: 'bigint' },
    ],
  }),
];

class CreateUsage1800000000200 implements MigrationInterface {
  readonly name = 'CreateUsage1800000000200';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.createTable(table, true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.dropTable(table);
  }
}

/** The tables of usage, which nobody else reads. */
export const analyticsSchema = {
  entities: [UsageCounterRow, UsageSessionRow, UsageWaitingRow],
  migrations: [CreateUsage1800000000200],
};
