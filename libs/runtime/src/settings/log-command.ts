import { isUuid } from '#libs/protocol';
import { commandLine, readingCommand } from './command-settings.js';
import type { Settings } from './settings.js';
import { InvalidSettings } from './settings.js';
import type { Environment } from './written-settings.js';

/** What `sbp-server log` was asked for. */
export interface LogCommand {
  readonly settings: Settings;
  readonly sessionId: string;
  readonly withContent: boolean;
  readonly asJson: boolean;
}

const FLAGS = { content: 'switch', json: 'switch' } as const;

/** `argv`: what follows the command, the session's id first. @throws InvalidSettings */
export function parseLogCommand(
  environment: Environment,
  [sessionId = '', ...argv]: readonly string[],
): LogCommand {
  if (!isUuid(sessionId)) {
    throw new InvalidSettings([
      'log: the id of a session must come first, such as 7f3c1f4e-0b1d-4c7e-9a55-2f1f1f5a3c1b',
    ]);
  }
  return readingCommand(() => {
    const { flags, settings } = commandLine(environment, argv, FLAGS);
    return {
      settings,
      sessionId: sessionId.toLowerCase(),
      withContent: flags['content'] !== undefined,
      asJson: flags['json'] !== undefined,
    };
  });
}
