import { ClaimRow } from './claim.entity.js';
import { ExportRow } from './export.entity.js';
import { LiveSessionRow } from './live-session.entity.js';
import { ProcessRow } from './process.entity.js';
import { PromisedSessionRow } from './promised-session.entity.js';
import { QuarantinedEventRow } from './quarantined-event.entity.js';
import { QuarantinedSessionRow } from './quarantined-session.entity.js';
import { SessionOriginRow } from './session-origin.entity.js';
import { SessionRow } from './session.entity.js';
import { SkippedEventRow } from './skipped-event.entity.js';
import { SurfaceToolsRow } from './surface-tools.entity.js';
import { ToolCallRow } from './tool-call.entity.js';
import { ToolRoundRow } from './tool-round.entity.js';
import { TurnKeyRow } from './turn-key.entity.js';
import { TurnRow } from './turn.entity.js';

export const storeEntities = [
  SessionRow,
  TurnRow,
  ClaimRow,
  ProcessRow,
  LiveSessionRow,
  ExportRow,
  TurnKeyRow,
  ToolRoundRow,
  ToolCallRow,
  SurfaceToolsRow,
  SessionOriginRow,
  PromisedSessionRow,
  QuarantinedSessionRow,
  QuarantinedEventRow,
  SkippedEventRow,
];
