import { randomUUID } from 'node:crypto';
import type { LogEvent, ProcessAddress } from '#libs/protocol';
import {
  id,
  sessionOpened,
  surfaceAttached,
  turnCompleted,
  turnStarted,
} from '#libs/domain/testing';

/** The logs of sessions that are in one state or another. `number` tells them apart. */

/** One turn was run and answered. */
export function idleSession(number: number, epoch = 10): readonly LogEvent[] {
  return [...runningSession(number, epoch), turnCompleted(epoch, turnOf(number))];
}

/** Its first turn is open. */
export function runningSession(
  number: number,
  epoch = 10,
  runner: ProcessAddress = aProcess(),
): readonly LogEvent[] {
  const turn = turnOf(number);
  return [sessionOpened(epoch, turn), turnStarted(epoch, { ...turn, runner })];
}

/** As `idleSession`, with a surface. */
export function attachedSession(number: number, gateway: ProcessAddress): readonly LogEvent[] {
  const { session, attachId } = turnOf(number);
  return [...idleSession(number), surfaceAttached(attachId, { session, gateway })];
}

/** The start of the turn that follows an idle session's first one. */
export function nextTurn(
  number: number,
  { turnId, epoch }: { readonly turnId: string; readonly epoch: number },
): readonly LogEvent[] {
  return [turnStarted(epoch, { session: id(number), turn: turnId, after: 1, keeps: 2 })];
}

/** The ids of a session, of its first turn and of its surface. */
export function turnOf(number: number): {
  readonly session: string;
  readonly turn: string;
  readonly attachId: string;
} {
  return { session: id(number), turn: id(1000 + number), attachId: id(2000 + number) };
}

/** The address of a process that no table knows. */
export function aProcess(slot = 900): ProcessAddress {
  return { slot, incarnation: randomUUID() };
}
