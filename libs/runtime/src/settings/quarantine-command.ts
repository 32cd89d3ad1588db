import { isUuid } from '#libs/protocol';
import { commandLine, readingCommand } from './command-settings.js';
import type { Settings } from './settings.js';
import { InvalidSettings } from './settings.js';
import type { Environment } from './written-settings.js';

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
  list: { json: 'switch' },
  show: { json: 'switch', content: 'switch' },
  retry: { json: 'switch', all: 'switch' },
} as const;

/** Also what the records are listed under whose keys are no session ids. */
const BUCKET = /^no-session-\d+$/;

/** `argv`: what follows `quarantine`. @throws InvalidSettings */
export function parseQuarantineCommand(
  environment: Environment,
  [what = '', ...argv]: readonly string[],
): QuarantineCommand {
  if (what !== 'list' && what !== 'show' && what !== 'retry') {
    throw new InvalidSettings(['quarantine: `list`, `show` or `retry` must come first.']);
  }
  const [first = ''] = argv;
  const sessionId = isUuid(first) || BUCKET.test(first) ? first.toLowerCase() : null;
  return readingCommand(() => {
    const own = sessionId === null ? argv : argv.slice(1);
    const { flags, settings } = commandLine(environment, own, FLAGS[what]);
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
  });
}

const EXPECTED = {
  list: 'takes no id; `show` takes one.',
  show: 'the id of a session must come first, as `list` says it.',
  retry: 'either the id of a session must come first, as `list` says it, or --all.',
} as const;
