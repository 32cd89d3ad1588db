import { isUuid } from '#libs/protocol';
import { InvalidSetting } from '#libs/llm';
import { parseFlags } from './command-line.js';
import type { Settings } from './settings.js';
import { InvalidSettings, parseSettings } from './settings.js';

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

const VERIFY = { 'data-dir': 'value', 'from-log': 'switch', json: 'switch' } as const;
const EXPORT = {
  'data-dir': 'value',
  session: 'value',
  partition: 'value',
  from: 'value',
} as const;

/** `argv`: what follows the command. @throws InvalidSettings */
export function parseAuditCommand(
  environment: Readonly<Record<string, string | undefined>>,
  [what = '', ...argv]: readonly string[],
): AuditCommand {
  if (what !== 'verify' && what !== 'export') {
    throw new InvalidSettings(['audit: `verify` or `export` must come first.']);
  }
  try {
    const flags = parseFlags(argv, what === 'verify' ? VERIFY : EXPORT);
    const dataDir = flags['data-dir'];
    const written = dataDir === undefined ? {} : { SBP_DATA_DIR: dataDir };
    const settings = parseSettings({ ...environment, ...written });
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
  } catch (error) {
    if (error instanceof InvalidSetting) throw new InvalidSettings([error.message]);
    throw error;
  }
}

function idOf(text: string): string {
  if (isUuid(text)) return text.toLowerCase();
  throw new InvalidSetting('--session', 'must be the id of a session');
}

function wholeNumber(flag: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidSetting(flag, 'must be a whole number from 0 on');
}
