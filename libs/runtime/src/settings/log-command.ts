import { isUuid } from '#libs/protocol';
import { InvalidSetting } from '#libs/llm';
import { parseFlags } from './command-line.js';
import type { Settings } from './settings.js';
import { InvalidSettings, parseSettings } from './settings.js';

/** What `sbp-server log` was asked for. */
export interface LogCommand {
  readonly settings: Settings;
  readonly sessionId: string;
  readonly withContent: boolean;
  readonly asJson: boolean;
}

const FLAGS = { 'data-dir': 'value', content: 'switch', json: 'switch' } as const;

/** `argv`: what follows the command, the session's id first. @throws InvalidSettings */
export function parseLogCommand(
  environment: Readonly<Record<string, string | undefined>>,
  [sessionId = '', ...argv]: readonly string[],
): LogCommand {
  if (!isUuid(sessionId)) {
    throw new InvalidSettings([
      'log: the id of a session must come first, such as 7f3c1f4e-0b1d-4c7e-9a55-2f1f1f5a3c1b',
    ]);
  }
  try {
    const { 'data-dir': dataDir, content, json } = parseFlags(argv, FLAGS);
    const written = dataDir === undefined ? {} : { SBP_DATA_DIR: dataDir };
    return {
      settings: parseSettings({ ...environment, ...written }),
      sessionId: sessionId.toLowerCase(),
      withContent: content !== undefined,
      asJson: json !== undefined,
    };
  } catch (error) {
    if (error instanceof InvalidSetting) throw new InvalidSettings([error.message]);
    throw error;
  }
}
