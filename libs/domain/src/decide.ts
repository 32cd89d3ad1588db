import type { Command } from './command.js';
import type { Decision } from './issued.js';
import { decideRoaming } from './roaming/decide-roaming.js';
import { decideSession } from './session/decide-session.js';
import type { SessionState } from './session-state.js';
import { decideSurface } from './surfaces/decide-surfaces.js';
import { decideTools } from './tools/decide-tools.js';
import { decideTurn } from './turns/decide-turns.js';

/**
 * Turns a command into the events to append, in one atomic append. Pure: time, ids and the actor
 * come with the command.
 */
export function decide(command: Command, state: SessionState): Decision {
  switch (command.type) {
    case 'QueueTurn':
    case 'WithdrawTurn':
    case 'StartTurn':
    case 'AdoptTurn':
    case 'ParkTurn':
    case 'CompleteTurn':
    case 'FailTurn':
    case 'CancelTurn':
    case 'ReportUndelivered':
      return decideTurn(command, state);
    case 'AttachSurface':
    case 'DetachSurface':
    case 'AcknowledgeTurns':
      return decideSurface(command, state);
    case 'CallTools':
    case 'CallTool':
    case 'ReturnTool':
    case 'DecideCall':
      return decideTools(command);
    case 'ChangeLife':
    case 'RevokeTokens':
      return decideSession(command);
    case 'ExportSession':
    case 'ConsumeExport':
    case 'RevokeExport':
    case 'HandOff':
    case 'OpenDerived':
    case 'RestorePart':
    case 'BeginImport':
    case 'AbandonImport':
      return decideRoaming(command);
  }
}
