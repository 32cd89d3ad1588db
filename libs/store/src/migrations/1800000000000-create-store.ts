import { BIGINT, CreateTables, INT, KEY, NULLABLE, column, varchar } from '#libs/sql';
import { Table } from 'typeorm';

const ID = varchar(36);
const TIME = varchar(32);
const DOUBLE = { type: 'double precision' };

const tables = [
  new Table({
    name: 'sessions',
    columns: [
      column('session_id', ID, KEY),
      column('phase', varchar(16)),
      column('label', varchar(120), NULLABLE),
      column('status', varchar(16)),
      column('principal', varchar(256)),
      column('agent_id', varchar(256)),
      column('created_at', TIME),
      column('log_partition', INT),
      column('epoch', BIGINT),
      column('state'),
      column('head', INT),
      column('open_turn_id', ID, NULLABLE),
      column('open_epoch', BIGINT, NULLABLE),
      column('due_at', BIGINT, NULLABLE),
      column('next_turn_id', ID, NULLABLE),
      column('next_holder', ID, NULLABLE),
      column('suspended_at', BIGINT, NULLABLE),
      column('attach_id', ID, NULLABLE),
      column('called', INT),
      column('gateway_slot', INT, NULLABLE),
      column('gateway_incarnation', ID, NULLABLE),
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
        name: 'sessions_suspended',
        columnNames: ['suspended_at'],
        where: 'suspended_at IS NOT NULL',
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
      column('session_id', ID, KEY),
      column('number', INT, KEY),
      column('turn_id', ID),
      column('epoch', BIGINT),
      column('runner_slot', INT),
      column('runner_incarnation', ID),
      column('status', varchar(16)),
      column('seq', INT, NULLABLE),
      column('first_index', INT),
      column('end_index', INT),
      column('visible_end', INT),
      column('system_turn', INT),
      column('model'),
      column('checkpoint_every', INT),
      column('request'),
      column('output', NULLABLE),
      column('model_used', NULLABLE),
      column('usage', NULLABLE),
      column('cost_usd', DOUBLE, NULLABLE),
      column('snapshot_id', ID, NULLABLE),
      column('error_code', varchar(64), NULLABLE),
      column('refused', INT),
      column('unreached', INT),
      column('steps', INT, NULLABLE),
      column('session_cost_usd', DOUBLE, NULLABLE),
      column('session_bytes', BIGINT, NULLABLE),
      column('rounds', INT),
      column('started_at', TIME),
      column('ended_at', TIME, NULLABLE),
      column('waiting', NULLABLE),
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
      column('session_id', ID, KEY),
      column('turn_id', ID, NULLABLE),
      column('epoch', BIGINT),
      column('runner_slot', INT),
      column('runner_incarnation', ID),
      column('head_offset', BIGINT),
      column('unconfirmed'),
      column('interrupted_epoch', BIGINT, { default: 0 }),
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
      column('slot', INT, KEY),
      column('incarnation', ID),
      column('beat', INT),
      column('heartbeat_at', BIGINT),
      column('has_left', INT),
      column('reaped', INT),
    ],
  }),
  new Table({
    name: 'live_sessions',
    columns: [
      column('principal', varchar(256), KEY),
      column('agent_id', varchar(256), KEY),
      column('session_id', ID),
      column('opened_epoch', BIGINT),
    ],
  }),
  new Table({
    name: 'turn_keys',
    columns: [
      column('principal', varchar(256), KEY),
      column('agent_id', varchar(256), KEY),
      column('name', varchar(300), KEY),
      column('turn_id', ID),
      column('session_id', ID, NULLABLE),
      column('body_hash', varchar(64)),
      column('holder_incarnation', ID),
      column('caller', varchar(16)),
      column('created_at', BIGINT),
    ],
    indices: [{ name: 'turn_keys_created', columnNames: ['created_at'] }],
  }),
  new Table({
    name: 'tool_rounds',
    columns: [
      column('session_id', ID, KEY),
      column('turn_number', INT, KEY),
      column('round', INT, KEY),
      column('content'),
      column('shows_images', INT),
      column('usage', NULLABLE),
      column('cost_usd', DOUBLE, NULLABLE),
      column('called_snapshot_id', ID),
      column('called_at', TIME),
      column('returned_snapshot_id', ID, NULLABLE),
      column('returned_at', TIME, NULLABLE),
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
      column('session_id', ID, KEY),
      column('call_id', ID, KEY),
      column('turn_number', INT),
      column('round', INT),
      column('position', INT),
      column('decision_id', ID, NULLABLE),
      column('made', NULLABLE),
      column('outcome', varchar(16), NULLABLE),
      column('content', NULLABLE),
      column('returned_at', TIME, NULLABLE),
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
    columns: [column('session_id', ID, KEY), column('attach_id', ID), column('content')],
  }),
  new Table({
    name: 'exports',
    columns: [
      column('export_id', ID, KEY),
      column('session_id', ID),
      column('content'),
      column('created_at', TIME),
      column('expires_at', TIME),
      column('turn_number', INT),
      column('message_count', INT),
      column('bundle_cid', varchar(64)),
      column('fate'),
    ],
    indices: [{ name: 'exports_session', columnNames: ['session_id', 'created_at', 'export_id'] }],
  }),
  new Table({
    name: 'session_origins',
    columns: [
      column('session_id', ID, KEY),
      column('type', varchar(16)),
      column('source_id', ID),
      column('origin'),
      column('content'),
      column('steps', INT),
      column('messages', INT),
      column('created_at', TIME),
    ],
    indices: [
      { name: 'session_origins_source', columnNames: ['source_id', 'created_at', 'session_id'] },
    ],
  }),
  new Table({
    name: 'promised_sessions',
    columns: [
      column('session_id', ID, KEY),
      column('source_id', ID, NULLABLE),
      column('type', varchar(16), NULLABLE),
      column('data', NULLABLE),
      column('content', NULLABLE),
      column('maker', ID, NULLABLE),
      column('kept', INT),
      column('created_at', TIME, NULLABLE),
    ],
    indices: [
      {
        name: 'promised_sessions_open',
        columnNames: ['maker', 'session_id'],
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
      column('session_id', ID, KEY),
      column('log_partition', INT),
      column('since_offset', BIGINT),
      column('reason', varchar(16)),
      column('detail'),
      column('event_count', INT),
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
      column('log_partition', INT, KEY),
      column('log_offset', BIGINT, KEY),
      column('session_id', ID),
      column('event_id', ID, NULLABLE),
      column('event_type', varchar(64), NULLABLE),
      column('reason', varchar(16)),
      column('value'),
    ],
    indices: [{ name: 'quarantined_events_session', columnNames: ['session_id', 'log_offset'] }],
  }),
  new Table({
    name: 'skipped_events',
    columns: [
      column('log_partition', INT, KEY),
      column('event_type', varchar(64), KEY),
      column('count', INT),
    ],
  }),
];

/** The first read models and claims, on both dialects. */
export class CreateStore1800000000000 extends CreateTables {
  readonly name = 'CreateStore1800000000000';

  constructor() {
    super(tables);
  }
}
