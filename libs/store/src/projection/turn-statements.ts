import { tuples } from '#libs/sql';
import type { EntityManager } from 'typeorm';
import { rows } from '../statement.js';
import type { TurnWrites } from './turn-writes.js';

/*
 * One statement for each kind of write, whatever the number of rows [A11]. Values of a `WITH … AS
 * (VALUES …)` have no type of their own on Postgres, so each is cast where it is used.
 */

/** Writes what a batch did to turns: one statement for each kind of write. */
export async function writeTurns(transaction: EntityManager, writes: TurnWrites): Promise<void> {
  if (writes.dropped.size > 0) await drop(transaction, writes);
  if (writes.left.size > 0) await leave(transaction, writes);
  if (writes.withdrawn.size > 0) await withdraw(transaction, writes);
  if (writes.adopted.size > 0) await adopt(transaction, writes);
  if (writes.parked.size > 0) await park(transaction, writes);
  if (writes.ended.size > 0) await end(transaction, writes);
  // Before the new turns are there: they cut only what stood before them.
  if (writes.cuts.size > 0) await cut(transaction, writes);
  if (writes.owed.size > 0) await owe(transaction, writes);
  if (writes.inserted.size > 0) await insert(transaction, writes);
}

async function drop(transaction: EntityManager, { dropped }: TurnWrites): Promise<void> {
  await rows(transaction)`DELETE FROM turns WHERE session_id IN (${[...dropped]})`;
}

async function insert(transaction: EntityManager, { inserted }: TurnWrites): Promise<void> {
  await rows(transaction)`
    INSERT INTO turns (session_id, number, turn_id, epoch, runner_slot, runner_incarnation, status,
      seq, first_index, end_index, visible_end, system_turn, model, checkpoint_every, request,
      output, model_used, usage, cost_usd, snapshot_id, error_code, refused, unreached, steps,
      session_cost_usd, session_bytes, rounds, started_at, ended_at, waiting)
    VALUES ${tuples(
      [...inserted.values()].map((turn) => [
        ...[turn.sessionId, turn.number, turn.turnId, turn.epoch, turn.runnerSlot],
        ...[turn.runnerIncarnation, turn.status, turn.seq, turn.firstIndex, turn.endIndex],
        ...[turn.visibleEnd, turn.systemTurn, turn.model, turn.checkpointEvery, turn.request],
        ...[turn.output, turn.modelUsed, turn.usage, turn.costUsd, turn.snapshotId],
        ...[turn.errorCode, turn.refused, turn.unreached, turn.steps, turn.sessionCostUsd],
        ...[turn.sessionBytes, turn.rounds, turn.startedAt, turn.endedAt, turn.waiting],
      ]),
    )}`;
}

async function leave(transaction: EntityManager, { left }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH departed (session_id, number) AS (VALUES ${tuples(
      [...left.values()].map(({ sessionId, number }) => [sessionId, number]),
    )})
    DELETE FROM turns WHERE EXISTS (SELECT 1 FROM departed
      WHERE turns.session_id = departed.session_id
        AND turns.number = CAST(departed.number AS integer))`;
}

async function withdraw(transaction: EntityManager, { withdrawn }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH withdrawn (session_id, place, number, status, seq, position, output, error_code, steps,
      session_cost_usd, session_bytes, ended_at) AS (VALUES ${tuples(
        [...withdrawn.values()].map((turn) => [
          ...[turn.sessionId, turn.row, turn.number, turn.status, turn.seq, turn.firstIndex],
          ...[turn.output, turn.errorCode, turn.steps, turn.sessionCostUsd, turn.sessionBytes],
          turn.endedAt,
        ]),
      )})
    UPDATE turns SET number = CAST(withdrawn.number AS integer), status = withdrawn.status,
      seq = CAST(withdrawn.seq AS integer), first_index = CAST(withdrawn.position AS integer),
      end_index = CAST(withdrawn.position AS integer),
      visible_end = CAST(withdrawn.position AS integer), output = withdrawn.output,
      error_code = withdrawn.error_code, unreached = 1, steps = CAST(withdrawn.steps AS integer),
      session_cost_usd = CAST(withdrawn.session_cost_usd AS double precision),
      session_bytes = CAST(withdrawn.session_bytes AS bigint),
      ended_at = withdrawn.ended_at, waiting = NULL
    FROM withdrawn
    WHERE turns.session_id = withdrawn.session_id
      AND turns.number = CAST(withdrawn.place AS integer)`;
}

async function adopt(transaction: EntityManager, { adopted }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH adopted (session_id, number, epoch, slot, incarnation) AS (VALUES ${tuples(
      [...adopted.values()].map((turn) => [
        ...[turn.sessionId, turn.number, turn.epoch, turn.runnerSlot, turn.runnerIncarnation],
      ]),
    )})
    UPDATE turns SET epoch = CAST(adopted.epoch AS bigint), status = 'open',
      runner_slot = CAST(adopted.slot AS integer), runner_incarnation = adopted.incarnation
    FROM adopted
    WHERE turns.session_id = adopted.session_id
      AND turns.number = CAST(adopted.number AS integer)`;
}

async function park(transaction: EntityManager, { parked }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH parked (session_id, number) AS (VALUES ${tuples(
      [...parked.values()].map((turn) => [turn.sessionId, turn.number]),
    )})
    UPDATE turns SET status = 'parked' FROM parked
    WHERE turns.session_id = parked.session_id
      AND turns.number = CAST(parked.number AS integer)`;
}

async function end(transaction: EntityManager, { ended }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH ended (session_id, number, epoch, status, seq, end_index, output, model_used, usage,
      cost_usd, snapshot_id, error_code, refused, unreached, steps, session_cost_usd,
      session_bytes, rounds, ended_at) AS (VALUES ${tuples(
        [...ended.values()].map((turn) => [
          ...[turn.sessionId, turn.number, turn.epoch, turn.status, turn.seq, turn.endIndex],
          ...[turn.output, turn.modelUsed, turn.usage, turn.costUsd, turn.snapshotId],
          ...[turn.errorCode, turn.refused, turn.unreached, turn.steps, turn.sessionCostUsd],
          ...[turn.sessionBytes, turn.rounds, turn.endedAt],
        ]),
      )})
    UPDATE turns SET epoch = CAST(ended.epoch AS bigint), status = ended.status,
      seq = CAST(ended.seq AS integer),
      end_index = CAST(ended.end_index AS integer),
      visible_end = CAST(ended.end_index AS integer), output = ended.output,
      model_used = ended.model_used, usage = ended.usage,
      cost_usd = CAST(ended.cost_usd AS double precision), snapshot_id = ended.snapshot_id,
      error_code = ended.error_code, refused = CAST(ended.refused AS integer),
      unreached = CAST(ended.unreached AS integer),
      steps = CAST(ended.steps AS integer),
      session_cost_usd = CAST(ended.session_cost_usd AS double precision),
      session_bytes = CAST(ended.session_bytes AS bigint),
      rounds = CAST(ended.rounds AS integer), ended_at = ended.ended_at
    FROM ended
    WHERE turns.session_id = ended.session_id AND turns.number = CAST(ended.number AS integer)`;
}

async function cut(transaction: EntityManager, { cuts }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH cuts (session_id, place) AS (VALUES ${tuples([...cuts])})
    UPDATE turns SET visible_end = CASE WHEN turns.first_index > CAST(cuts.place AS integer)
      THEN turns.first_index ELSE CAST(cuts.place AS integer) END
    FROM cuts
    WHERE turns.session_id = cuts.session_id AND turns.visible_end > turns.first_index
      AND turns.visible_end > CAST(cuts.place AS integer)`;
}

async function owe(transaction: EntityManager, { owed }: TurnWrites): Promise<void> {
  await rows(transaction)`
    WITH owed (session_id, number, seq) AS (VALUES ${tuples(
      [...owed.values()].map(({ sessionId, number, seq }) => [sessionId, number, seq]),
    )})
    UPDATE turns SET seq = CAST(owed.seq AS integer)
    FROM owed
    WHERE turns.session_id = owed.session_id AND turns.number = CAST(owed.number AS integer)`;
}
