import { isUuid } from '#libs/protocol';
import { InvalidSetting } from '#libs/llm';
import { commandLine, readingCommand } from './command-settings.js';
import type { Settings } from './settings.js';
import { InvalidSettings } from './settings.js';
import type { Environment } from './written-settings.js';

/** What `sbp-server audit` was asked for. */
export type AuditCommand = { readonly settings: Settings } & (
  | { readonly what: 'verify'; readonly fromLog: boolean; readonly asJson: boolean }
  | {
      readonly what: 'export';
      readonly sessionId: string | null;
      readonly partition: number | null;
      /** The first offset of each partition. */
      readonly from: number;
    }
);

const VERIFY = { 'from-log': 'switch', json: 'switch' } as const;
const EXPORT = {
  session: 'value',
  partition: 'value',
  from: 'value',
} as const;

/** `argv`: what follows the command. @throws InvalidSettings */
export function parseAuditCommand(
  environment: Environment,
  [what = '', ...argv]: readonly string[],
): AuditCommand {
  if (what !== 'verify' && what !== 'export') {
    throw new InvalidSettings(['audit: `verify` or `export` must come first.']);
  }
  return readingCommand(() => {
    const table = what === 'verify' ? VERIFY : EXPORT;
    const { flags, settings } = commandLine(environment, argv, table);
    if (what === 'verify') {
      const { 'from-log': fromLog, json } = flags;
      return { settings, what, fromLog: fromLog !== undefined, asJson: json !== undefined };
    }
    const { session, partition, from = '0' } = flags;
    return {
      settings,
      what,
      sessionId: session === undefined ? null : idOf(session),
      partition: partition === undefined ? null : wholeNumber('--partition', partition),
      from: wholeNumber('--from', from),
    };
  });
}

function idOf(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw new InvalidSetting('--session', 'must be the id of a session');
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidSetting(flag, 'must be a whole number from 0 on');
}
