import type { LogEventOf } from '#libs/protocol';
import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';

export interface RoamingCommand {
  readonly type: 'ExportSession';
  readonly exported: LogEventOf<'session.exported'>['data'];
  readonly label: string | null;
}

export function decideRoaming(command: Issued & RoamingCommand): Decision {
  const { exported, label } = command;
  return decided({
    ...envelope(command),
    type: 'session.exported',
    data: exported,
    content: { label },
  });
}
