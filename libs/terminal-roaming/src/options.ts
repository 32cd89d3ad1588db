import { parseArgs } from 'node:util';
import { isUuid } from '#libs/protocol';
import { CommandProblem } from './server-api.js';

/** What every command of roaming is told. */
export interface RoamingCommand {
  /** What stands first: a session's id, a token or a URL. */
  readonly subject: string;
  /** Of the server, without a slash at its end. */
  readonly url: string;
  /** Of a session; null for none. */
  readonly token: string | null;
  /** Of a principal; null for none. */
  readonly apiKey: string | null;
  readonly ttlSeconds: number | null;
  readonly label: string | null;
  readonly agent: string | null;
  readonly reuse: boolean;
}

type Flag = 'url' | 'token' | 'ttl' | 'label' | 'agent' | 'reuse';

const DEFAULT_URL = 'http://localhost:8080';

/**
 * Reads a command line of which only these flags are known. `environment`: `SBP_URL` and
 * `SBP_SESSION_TOKEN` stand in for flags; `SBP_API_KEY` has none, because others see flags.
 * @throws CommandProblem
 */
export function readCommand(
  argv: readonly string[],
  flags: readonly Flag[],
  environment: Readonly<Record<string, string | undefined>>,
): RoamingCommand {
  const options = Object.fromEntries(
    flags.map((flag) => [flag, { type: flag === 'reuse' ? 'boolean' : 'string' } as const]),
  );
  try {
    const { values, positionals } = parseArgs({
      ...{ args: [...argv], options, allowPositionals: true },
    });
    const [subject = '', ...more] = positionals;
    if (more.length > 0) throw new CommandProblem(`${more[0] ?? ''}: is one argument too many.`);
    const text = (flag: Flag): string | null => {
      const value = values[flag];
      return typeof value === 'string' ? value : null;
    };
    return {
      subject,
      url: urlOf(text('url') ?? environment['SBP_URL'] ?? DEFAULT_URL),
      token: text('token') ?? environment['SBP_SESSION_TOKEN'] ?? null,
      apiKey: environment['SBP_API_KEY'] ?? null,
      ttlSeconds: secondsOf(text('ttl')),
      label: text('label'),
      agent: text('agent'),
      reuse: values['reuse'] === true,
    };
  } catch (error) {
    if (error instanceof CommandProblem) throw error;
    throw new CommandProblem(error instanceof Error ? error.message : String(error));
  }
}

/** @throws CommandProblem */
export function sessionOf({ subject }: RoamingCommand): string {
  if (isUuid(subject)) return subject.toLowerCase();
  throw new CommandProblem('The id of a session must come first.');
}

/** The token itself, or the last part of a URL that `roam` has shown. @throws CommandProblem */
export function roamingTokenOf({ subject }: RoamingCommand): string {
  const token = /(?:^|\/)([\w-]+\.[\w-]+\.[\w-]+)$/.exec(subject)?.[1];
  if (token !== undefined) return token;
  throw new CommandProblem(
    'A roaming token, or a URL that `sbp-server roam` has shown, must come first.',
  );
}

function urlOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text)) {
    throw new CommandProblem(`--url: ${text} is not the URL of a server.`);
  }
  return text.replace(/\/+$/, '');
}

function secondsOf(text: string | null): number | null {
  if (text === null) return null;
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new CommandProblem(`--ttl: ${text} is not a number of seconds.`);
}
