import { existsSync } from 'node:fs';
import path from 'node:path';
import { AUDIT_TABLES } from '#libs/audit';
import { SERVICES } from '#libs/protocol';
import { parseSettings, rebuild } from '#libs/runtime';
import { createLogger } from '#libs/telemetry';
import { USAGE, stackOptions } from './command-line.js';
import { startStack } from './stack.js';
import type { Stack, StackEntry } from './index.js';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const options = readOptions();
const interrupted = new Promise<void>((resolve) => {
  // More signals change nothing: a terminal's Ctrl-C may reach us twice, directly and through npm.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => resolve());
});

try {
  if (options.rebuild) {
    await rebuildReadModels();
    process.exit(0);
  }
  const stack = await startStack({ ...options, say: print });
  report(stack, options.restart === true);
  await interrupted;
  print('Stopping …');
  await stack.stop();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

/** Kafka and Postgres alone, for as long as it takes. */
async function rebuildReadModels(): Promise<void> {
  // A mistyped folder must not become a new, empty installation.
  const dataDir = path.resolve(options.dataDir);
  if (!existsSync(path.join(dataDir, 'postgres')))
    throw new Error(`No stack was ever started on ${dataDir}. Choose another with --data-dir.`);
  const replicas = Object.fromEntries(SERVICES.map((service) => [service, 0]));
  const stack = await startStack({ ...options, port: 0, replicas, say: print });
  try {
    const settings = parseSettings(stack.env);
    print('Folding the log …');
    const records = await rebuild(settings, createLogger('rebuild', 'warn'), AUDIT_TABLES);
    print(`Folded ${records} records of the log.`);
  } finally {
    await stack.stop();
  }
}

function readOptions(): ReturnType<typeof stackOptions> {
  try {
    return stackOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function report(stack: Stack, restart: boolean): void {
  const line = ({ name, pid, url }: StackEntry): string =>
    `  ${name.padEnd(16)} pid ${String(pid).padEnd(8)} ${url}`;
  for (const entry of stack.list()) print(line(entry));
  print(`The stack is ready: ${stack.url.replace('127.0.0.1', 'localhost')} (Ctrl-C ends it)`);
  stack.onExit(({ name, pid, code, signal, expected }) => {
    if (expected) return;
    const how = signal === null ? `with exit code ${String(code)}` : `by ${signal}`;
    print(
      `${name} (pid ${pid}) ended ${how}; ${restart ? 'it is started again' : 'it stays down'}.`,
    );
  });
  stack.onReady((entry) => print(`${entry.name} serves again:\n${line(entry)}`));
}
