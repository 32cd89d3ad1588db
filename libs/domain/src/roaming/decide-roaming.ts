import type { LogEventOf, LogEventType, Message, MessageAbout } from '#libs/protocol';
import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';
import { messageBytes } from '../transcript/message-bytes.js';

type DataOf<T extends LogEventType> = LogEventOf<T>['data'];

/** A part of a conversation that is copied. */
export interface CopiedPart {
  readonly data: LogEventOf<'session.restored'>['data'];
  readonly messages: readonly Message[];
  readonly about: readonly MessageAbout[];
  /** Null where it brings none. */
  readonly system: readonly Message[] | null;
}

export type RoamingCommand =
  | {
      readonly type: 'ExportSession';
      readonly exported: DataOf<'session.exported'>;
      readonly label: string | null;
    }
  | { readonly type: 'ConsumeExport'; readonly consumed: DataOf<'export.consumed'> }
  | { readonly type: 'RevokeExport'; readonly exportId: string }
  /** By the holder of a claim, while no turn is open. */
  | {
      readonly type: 'HandOff';
      readonly epoch: number;
      readonly handedOff: DataOf<'session.handed_off'>;
      readonly message: string | null;
      readonly reason: string | null;
    }
  /** Of a session that nobody else knows the id of, or that was promised at this epoch. */
  | {
      readonly type: 'OpenDerived';
      readonly epoch: number;
      readonly opened: Omit<DataOf<'session.opened'>, 'note_bytes'>;
      readonly content: NonNullable<LogEventOf<'session.opened'>['content']>;
    }
  /** Of an export of another server. */
  | {
      readonly type: 'BeginImport';
      readonly begun: DataOf<'import.begun'>;
      readonly content: LogEventOf<'import.begun'>['content'];
    }
  | { readonly type: 'AbandonImport' }
  | { readonly type: 'RestorePart'; readonly epoch: number; readonly part: CopiedPart };

export function decideRoaming(command: Issued & RoamingCommand): Decision {
  switch (command.type) {
    case 'ExportSession': {
      const { exported: data, label } = command;
      return decided({ ...envelope(command), type: 'session.exported', data, content: { label } });
    }
    case 'ConsumeExport':
      return decided({ ...envelope(command), type: 'export.consumed', data: command.consumed });
    case 'RevokeExport': {
      const data = { export_id: command.exportId };
      return decided({ ...envelope(command), type: 'export.revoked', data });
    }
    case 'HandOff': {
      const { epoch, handedOff: data, message, reason } = command;
      const content = { message, reason };
      return decided({ ...envelope(command), type: 'session.handed_off', epoch, data, content });
    }
    case 'OpenDerived': {
      const { epoch, opened, content } = command;
      const { note } = content;
      const data =
        note === undefined ? opened : { ...opened, note_bytes: messageBytes([noteMessage(note)]) };
      return decided({ ...envelope(command), type: 'session.opened', epoch, data, content });
    }
    case 'BeginImport': {
      const { begun: data, content } = command;
      return decided({ ...envelope(command), type: 'import.begun', data, content });
    }
    case 'AbandonImport':
      return decided({ ...envelope(command), type: 'import.abandoned', data: {} });
    case 'RestorePart': {
      const { epoch, part } = command;
      const { data, messages, about, system } = part;
      return decided({
        ...envelope(command),
        type: 'session.restored',
        epoch,
        data,
        content: {
          messages: [...messages],
          about: [...about],
          ...(system === null ? {} : { system: [...system] }),
        },
      });
    }
  }
}

/** What tells a model where a conversation comes from, as a message of it. */
export function noteMessage(note: string): Message {
  return { role: 'system', content: note };
}
