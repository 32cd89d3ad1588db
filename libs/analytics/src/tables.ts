import { BIGINT, CreateTables, INT, KEY, column, varchar } from '#libs/sql';
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

const tables = [
  new Table({
    name: 'usage_counters',
    columns: [
      column('day', varchar(10), KEY),
      column('principal', varchar(256), KEY),
      column('agent_id', varchar(256), KEY),
      column('model', varchar(200), KEY),
      column('device_type', varchar(64), KEY),
      column('counter', varchar(80), KEY),
      column('value', BIGINT),
    ],
  }),
  new Table({
    name: 'usage_sessions',
    columns: [column('session_id', varchar(36), KEY), column('state'), column('turns')],
  }),
  new Table({
    name: 'usage_waiting',
    columns: [
      column('session_id', varchar(36), KEY),
      column('seq', INT, KEY),
      column('model', varchar(200)),
      column('device_type', varchar(64)),
      column('waiting_since', BIGINT),
    ],
  }),
];

class CreateUsage1800000000200 extends CreateTables {
  readonly name = 'CreateUsage1800000000200';

  constructor() {
    super(tables);
  }
}

/** The tables of usage, which nobody else reads. */
export const analyticsSchema = {
  entities: [UsageCounterRow, UsageSessionRow, UsageWaitingRow],
  migrations: [CreateUsage1800000000200],
};
