import { ClaimRow } from './claim.entity.js';
import { ExportRow } from './export.entity.js';
import { LiveSessionRow } from './live-session.entity.js';
import { ProcessRow } from './process.entity.js';
import { SessionRow } from './session.entity.js';
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
];
