import type { MigrationInterface, QueryRunner, TableColumnOptions } from 'typeorm';
import { Table } from 'typeorm';

const id: Partial<TableColumnOptions> = { type: 'varchar', length: '36' };
const time: Partial<TableColumnOptions> = { type: 'varchar', length: '32' };
const nullable = { isNullable: true };
const key = { isPrimary: true };

/** The first read models and claims, on both dialects. */
export class CreateStore1800000000000 implements MigrationInterface {
  readonly name = 'CreateStore1800000000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.createTable(table, true);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of tables) await runner.dropTable(table);
  }
}

function column(name: string, ...options: Partial<TableColumnOptions>[]): TableColumnOptions {
  return Object.assign({ name, type: 'text' }, ...options) as TableColumnOptions;
}

const text: Partial<TableColumnOptions> = { type: 'text' };
const int: Partial<TableColumnOptions> = { type: 'integer' };
const bigint: Partial<TableColumnOptions> = { type: 'bigint' };

const varchar = (length: number): Partial<TableColumnOptions> => ({
  type: 'varchar',
  length: String(length),
});

const tables = [
  new Table({
    name: 'sessions',
    columns: [
      column('session_id', id, key),
      column('phase', varchar(16)),
      column('epoch', bigint),
      column('state', text),
      column('head', int),
      column('open_turn_id', id, nullable),
      column('open_epoch', bigint, nullable),
      column('attach_id', id, nullable),
      column('gateway_slot', int, nullable),
      column('gateway_incarnation', id, nullable),
    ],
    indices: [
      { name: 'sessions_open_turn', columnNames: ['open_turn_id'] },
      { name: 'sessions_gateway', columnNames: ['gateway_incarnation'] },
    ],
  }),
  new Table({
    name: 'turns',
    columns: [
      column('session_id', id, key),
      column('turn_id', id, key),
      column('number', int),
      column('epoch', bigint),
      column('runner_slot', int),
      column('runner_incarnation', id),
      column('status', varchar(16)),
      column('seq', int, nullable),
      column('keeps', int),
      column('messages', text),
      column('system', text, nullable),
      column('output', text),
      column('model', varchar(256)),
      column('options', text),
      column('checkpoint_every', int),
      column('model_used', text, nullable),
      column('usage', text, nullable),
      column('cost_usd', { type: 'double precision' }, nullable),
      column('snapshot_id', id, nullable),
      column('error', text, nullable),
      column('started_at', time),
      column('ended_at', time, nullable),
      column('ended_ms', bigint, nullable),
    ],
    indices: [
      { name: 'turns_seq', columnNames: ['session_id', 'seq'] },
      { name: 'turns_number', columnNames: ['session_id', 'number'] },
      { name: 'turns_runner', columnNames: ['runner_incarnation', 'ended_ms'] },
    ],
  }),
  new Table({
    name: 'claims',
    columns: [
      column('session_id', id, key),
      column('turn_id', id, nullable),
      column('epoch', bigint),
      column('runner_slot', int),
      column('runner_incarnation', id),
      column('head_offset', bigint),
    ],
    indices: [{ name: 'claims_runner', columnNames: ['runner_incarnation'] }],
  }),
  new Table({
    name: 'processes',
    columns: [
      column('slot', int, key),
      column('incarnation', id),
      column('heartbeat_at', bigint),
      column('reaped', int),
    ],
  }),
  new Table({
    name: 'live_sessions',
    columns: [
      column('principal', varchar(256), key),
      column('agent_id', varchar(256), key),
      column('session_id', id),
      column('opened_epoch', bigint),
    ],
  }),
  new Table({
    name: 'exports',
    columns: [
      column('export_id', id, key),
      column('session_id', id),
      column('label', varchar(120), nullable),
      column('created_at', time),
      column('expires_at', time),
      column('turn_number', int),
      column('message_count', int),
      column('bundle_cid', varchar(64)),
    ],
    indices: [{ name: 'exports_session', columnNames: ['session_id'] }],
  }),
];
