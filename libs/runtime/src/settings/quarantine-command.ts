import { InvalidSetting } from '#libs/llm';
import { isUuid } from '#libs/protocol';
import type { WrittenFlags } from './command-line.js';
import { parseFlags } from './command-line.js';
import type { Settings } from './settings.js';
import { InvalidSettings, parseSettings } from './settings.js';

/** What `sbp-server quarantine` was asked for. */
export type QuarantineCommand = {
  readonly settings: Settings;
  readonly asJson: boolean;
} & (
  | { readonly type: 'list' }
  | { readonly type: 'show'; readonly sessionId: string; readonly withContent: boolean }
  /** Null: all of them. */
  | { readonly type: 'retry'; readonly sessionId: string | null }
);

const FLAGS = {
  list: { 'data-dir': 'value', json: 'switch' },
  show: { 'data-dir': 'value', json: 'switch', content: 'switch' },
  retry: { 'data-dir': 'value', json: 'switch', all: 'switch' },
} as const;

/** Also what the records are listed under whose keys are no session ids. */
const BUCKET = /^no-session-\d+$/;

/** `argv`: what follows `quarantine`. @throws InvalidSettings */
export function parseQuarantineCommand(
  environment: Readonly<Record<string, string | undefined>>,
  [what = '', ...argv]: readonly string[],
): QuarantineCommand {
  if (what !== 'list' && what !== 'show' && what !== 'retry') {
    throw new InvalidSettings(['quarantine: `list`, `show` or `retry` must come first.']);
  }
  const [first = ''] = argv;
  const sessionId = isUuid(first) || BUCKET.test(first) ? first.toLowerCase() : null;
  try {
    const flags: WrittenFlags = parseFlags(sessionId === null ? argv : argv.slice(1), FLAGS[what]);
    const written = flags['data-dir'] === undefined ? {} : { SBP_DATA_DIR: flags['data-dir'] };
    const settings = parseSettings({ ...environment, ...written });
    const common = { settings, asJson: flags['json'] !== undefined };
    if (what === 'list' && sessionId === null) return { ...common, type: what };
    if (what === 'show' && sessionId !== null) {
      return { ...common, type: what, sessionId, withContent: flags['content'] !== undefined };
    }
    const isAll = flags['all'] !== undefined;
    if (what === 'retry' && isAll === (sessionId === null)) {
      return { ...common, type: what, sessionId };
    }
    throw new InvalidSettings([`quarantine ${what}: ${EXPECTED[what]}`]);
  } catch (error) {
    if (error instanceof InvalidSetting) throw new InvalidSettings([error.message]);
    throw error;
  }
}

const EXPECTED = {
  list: 'takes no id; `show` takes one.',
  show: 'the id of a session must come first, as `list` says it.',
  retry: 'either the id of a session must come first, as `list` says it, or --all.',
} as const;
