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
const double: Partial<TableColumnOptions> = { type: 'double precision' };

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
      column('label', varchar(120), nullable),
      column('status', varchar(16)),
      column('principal', varchar(256)),
      column('agent_id', varchar(256)),
      column('created_at', time),
      column('log_partition', int),
      column('epoch', bigint),
      column('state', text),
      column('head', int),
      column('open_turn_id', id, nullable),
      column('open_epoch', bigint, nullable),
      column('due_at', bigint, nullable),
      column('next_turn_id', id, nullable),
      column('next_holder', id, nullable),
      column('attach_id', id, nullable),
      column('called', int),
      column('gateway_slot', int, nullable),
      column('gateway_incarnation', id, nullable),
    ],
    indices: [
      {
        name: 'sessions_due',
        columnNames: ['due_at'],
        where: 'due_at IS NOT NULL',
      },
      {
        name: 'sessions_next_turn',
        columnNames: ['next_holder'],
        where: 'next_turn_id IS NOT NULL AND open_turn_id IS NULL',
      },
      {
        name: 'sessions_labelled',
        columnNames: ['principal', 'label', 'created_at', 'session_id'],
        where: 'label IS NOT NULL',
      },
      { name: 'sessions_listed', columnNames: ['principal', 'created_at', 'session_id'] },
      {
        name: 'sessions_of_agent',
        columnNames: ['principal', 'agent_id', 'created_at', 'session_id'],
      },
      {
        name: 'sessions_in_status',
        columnNames: ['principal', 'status', 'created_at', 'session_id'],
      },
      {
        name: 'sessions_attached',
        columnNames: ['gateway_incarnation'],
        where: 'attach_id IS NOT NULL',
      },
    ],
  }),
  new Table({
    name: 'turns',
    columns: [
      column('session_id', id, key),
      column('number', int, key),
      column('turn_id', id),
      column('epoch', bigint),
      column('runner_slot', int),
      column('runner_incarnation', id),
      column('status', varchar(16)),
      column('seq', int, nullable),
      column('first_index', int),
      column('end_index', int),
      column('visible_end', int),
      column('system_turn', int),
      column('model', text),
      column('checkpoint_every', int),
      column('request', text),
      column('output', text, nullable),
      column('model_used', text, nullable),
      column('usage', text, nullable),
      column('cost_usd', double, nullable),
      column('snapshot_id', id, nullable),
      column('error_code', varchar(64), nullable),
      column('refused', int),
      column('unreached', int),
      column('steps', int, nullable),
      column('session_cost_usd', double, nullable),
      column('session_bytes', bigint, nullable),
      column('rounds', int),
      column('started_at', time),
      column('ended_at', time, nullable),
      column('waiting', text, nullable),
    ],
    indices: [
      { name: 'turns_id', columnNames: ['session_id', 'turn_id'] },
      {
        name: 'turns_step',
        columnNames: ['session_id', 'steps'],
        where: "status = 'completed'",
      },
      {
        name: 'turns_snapshot',
        columnNames: ['session_id', 'snapshot_id'],
        where: 'snapshot_id IS NOT NULL',
      },
      { name: 'turns_owed', columnNames: ['session_id', 'seq'], where: 'seq IS NOT NULL' },
      {
        name: 'turns_visible',
        columnNames: ['session_id', 'visible_end'],
        where: 'visible_end > first_index',
      },
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
      column('unconfirmed', text),
      column('interrupted_epoch', bigint, { default: 0 }),
    ],
    indices: [
      {
        name: 'claims_held',
        columnNames: ['runner_incarnation'],
        where: 'turn_id IS NOT NULL',
      },
      { name: 'claims_unconfirmed', columnNames: ['session_id'], where: "unconfirmed <> ''" },
    ],
  }),
  new Table({
    name: 'processes',
    columns: [
      column('slot', int, key),
      column('incarnation', id),
      column('beat', int),
      column('heartbeat_at', bigint),
      column('has_left', int),
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
    name: 'turn_keys',
    columns: [
      column('principal', varchar(256), key),
      column('agent_id', varchar(256), key),
      column('name', varchar(300), key),
      column('turn_id', id),
      column('session_id', id, nullable),
      column('body_hash', varchar(64)),
      column('holder_incarnation', id),
      column('caller', varchar(16)),
      column('created_at', bigint),
    ],
    indices: [{ name: 'turn_keys_created', columnNames: ['created_at'] }],
  }),
  new Table({
    name: 'tool_rounds',
    columns: [
      column('session_id', id, key),
      column('turn_number', int, key),
      column('round', int, key),
      column('content', text),
      column('shows_images', int),
      column('usage', text, nullable),
      column('cost_usd', double, nullable),
      column('called_snapshot_id', id),
      column('called_at', time),
      column('returned_snapshot_id', id, nullable),
      column('returned_at', time, nullable),
    ],
    indices: [
      { name: 'tool_rounds_called', columnNames: ['session_id', 'called_snapshot_id'] },
      {
        name: 'tool_rounds_returned',
        columnNames: ['session_id', 'returned_snapshot_id'],
        where: 'returned_snapshot_id IS NOT NULL',
      },
    ],
  }),
  new Table({
    name: 'tool_calls',
    columns: [
      column('session_id', id, key),
      column('call_id', id, key),
      column('turn_number', int),
      column('round', int),
      column('position', int),
      column('decision_id', id, nullable),
      column('made', text, nullable),
      column('outcome', varchar(16), nullable),
      column('content', text, nullable),
      column('returned_at', time, nullable),
    ],
    indices: [
      {
        name: 'tool_calls_round',
        columnNames: ['session_id', 'turn_number', 'round', 'position'],
      },
    ],
  }),
  new Table({
    name: 'surface_tools',
    columns: [column('session_id', id, key), column('attach_id', id), column('content', text)],
  }),
  new Table({
    name: 'exports',
    columns: [
      column('export_id', id, key),
      column('session_id', id),
      column('content', text),
      column('created_at', time),
      column('expires_at', time),
      column('turn_number', int),
      column('message_count', int),
      column('bundle_cid', varchar(64)),
      column('fate', text),
    ],
    indices: [{ name: 'exports_session', columnNames: ['session_id', 'created_at', 'export_id'] }],
  }),
  new Table({
    name: 'session_origins',
    columns: [
      column('session_id', id, key),
      column('type', varchar(16)),
      column('source_id', id),
      column('origin', text),
      column('content', text),
      column('steps', int),
      column('messages', int),
      column('created_at', time),
    ],
    indices: [
      { name: 'session_origins_source', columnNames: ['source_id', 'created_at', 'session_id'] },
    ],
  }),
  new Table({
    name: 'promised_sessions',
    columns: [
      column('session_id', id, key),
      column('source_id', id, nullable),
      column('type', varchar(16), nullable),
      column('data', text, nullable),
      column('content', text, nullable),
      column('maker', id, nullable),
      column('kept', int),
      column('created_at', time, nullable),
    ],
    indices: [
      {
        name: 'promised_sessions_open',
        columnNames: ['maker'],
        where: 'kept = 0',
      },
      {
        name: 'promised_sessions_source',
        columnNames: ['source_id', 'created_at', 'session_id'],
        where: 'source_id IS NOT NULL',
      },
    ],
  }),
  new Table({
    name: 'quarantined_sessions',
    columns: [
      column('session_id', id, key),
      column('log_partition', int),
      column('since_offset', bigint),
      column('reason', varchar(16)),
      column('detail', text),
      column('event_count', int),
    ],
    indices: [
      {
        name: 'quarantined_sessions_partition',
        columnNames: ['log_partition', 'session_id'],
      },
    ],
  }),
  new Table({
    name: 'quarantined_events',
    columns: [
      column('log_partition', int, key),
      column('log_offset', bigint, key),
      column('session_id', id),
      column('event_id', id, nullable),
      column('event_type', varchar(64), nullable),
      column('reason', varchar(16)),
      column('value', text),
    ],
    indices: [{ name: 'quarantined_events_session', columnNames: ['session_id', 'log_offset'] }],
  }),
  new Table({
    name: 'skipped_events',
    columns: [
      column('log_partition', int, key),
      column('event_type', varchar(64), key),
      column('count', int),
    ],
  }),
];
