import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { isFullyVisible } from '../terminal/plain-text.js';
import type { Terminal } from '../terminal/terminal.js';
import type { Tool, ToolOutcome } from './tool.js';
import { failure, inputOf, result, textIn } from './tool.js';

const CONFIRM_SECONDS = 120;
const RUN_SECONDS = 60;
/** What a screen shows at once. */
const LONGEST_COMMAND = 1_500;
const MOST_LINES = 15;
const MAX_OUTPUT_BYTES = 64 * 1024;
/** What a command need not know. */
const SECRETS: ReadonlySet<string> = new Set(['SBP_SESSION_TOKEN', 'SBP_API_KEY']);

/** Runs a command, if the person who sees it says yes to it; no setting says yes for them. */
export function shell(terminal: Pick<Terminal, 'ask'>, runMs = RUN_SECONDS * 1_000): Tool {
  return {
    name: 'shell',
    schema: {
      description:
        'Runs a command by /bin/sh on the device, if the person confirms it, and returns its ' +
        `exit code and output. It may take ${RUN_SECONDS} s, and gets no input.`,
      inputSchema: inputOf({ command: { type: 'string', description: 'What /bin/sh is given.' } }, [
        'command',
      ]),
      timeout_seconds: CONFIRM_SECONDS + RUN_SECONDS + 30,
    },
    run: async (input, signal) => {
      const command = textIn(input, 'command');
      if (command === null) return failure('command is missing');
      // The person must see what they confirm, all of it.
      if (!isShownWhole(command))
        return failure('The command is too long, or has characters that cannot be shown.');
      const shown = command.replaceAll('\n', '\n   ');
      const answer = await terminal.ask(
        `$$ ${shown}\n?? Run this command on this machine? [y/N]`,
        CONFIRM_SECONDS * 1_000,
      );
      if (answer.type !== 'answered' || !/^\s*y(es)?\s*$/i.test(answer.text))
        return failure('The person did not confirm the command.');
      return await execute(command, AbortSignal.any([signal, AbortSignal.timeout(runMs)]));
    },
  };
}

function isShownWhole(command: string): boolean {
  const fits = command.length <= LONGEST_COMMAND && command.split('\n').length <= MOST_LINES;
  return fits && isFullyVisible(command);
}

function execute(command: string, stop: AbortSignal): Promise<ToolOutcome> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([variable]) => !SECRETS.has(variable)),
  );
  // A group of its own, so that what the command started ends with it.
  const child = spawn('/bin/sh', ['-c', command], {
    detached: true,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  const keep = (piece: Buffer): void => {
    if (bytes < MAX_OUTPUT_BYTES) pieces.push(piece.subarray(0, MAX_OUTPUT_BYTES - bytes));
    bytes += piece.length;
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve) => {
    const end = (exitCode: number | null): void => {
      stop.removeEventListener('abort', onStop);
      resolve(
        result({
          exit_code: exitCode,
          // A character that the cut has torn is left out.
          output: new TextDecoder().decode(Buffer.concat(pieces), { stream: true }),
          ...(bytes > MAX_OUTPUT_BYTES ? { cut_at_bytes: MAX_OUTPUT_BYTES } : {}),
          ...(stop.aborted ? { stopped: 'It took too long.' } : {}),
        }),
      );
    };
    const onStop = (): void => {
      killGroup(child);
      // What left the group may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
      end(null);
    };
    child.once('error', (error) => resolve(failure(error.message)));
    child.once('close', end);
    if (stop.aborted) onStop();
    else stop.addEventListener('abort', onStop);
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
