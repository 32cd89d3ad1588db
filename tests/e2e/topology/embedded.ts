import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SupervisedProcess, guardFolder, listeningLine } from '../../../tools/supervise/index.js';
import type { Server } from './server.js';
import type { Settings } from './settings.js';
import { SETTINGS } from './settings.js';

const PROGRAM = path.resolve(import.meta.dirname, '../../../dist/apps/sbp-server/src/main.js');

/** What an embedded server of the tests is set to. */
export const EMBEDDED_SETTINGS = {
  ...SETTINGS,
  SBP_BACKEND: 'embedded',
  SBP_PUBLIC_URL: '',
} as const;

/**
 * `sbp-server start` as a process of its own, on a data directory; not started yet. `port` 0: each
 * start takes any free one.
 */
export function embeddedProgram(
  dataDir: string,
  port = 0,
  settings: Settings = {},
): SupervisedProcess {
  return new SupervisedProcess({
    name: 'sbp-server',
    launch: () => ({
      command: process.execPath,
      args: [
        '--enable-source-maps',
        PROGRAM,
        'start',
        '--port',
        String(port),
        '--data-dir',
        dataDir,
      ],
      env: { ...process.env, ...EMBEDDED_SETTINGS, ...settings },
    }),
    ready: listeningLine,
    logFile: path.join(dataDir, 'sbp-server.log'),
    pidFile: path.join(dataDir, 'sbp-server.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: false,
  });
}

/** An embedded server on a new data directory. */
export async function startEmbedded(settings: Settings = {}): Promise<Server> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-embedded-'));
  guardFolder(dataDir);
  const program = embeddedProgram(dataDir, 0, settings);
  await program.start();
  const { url } = program;
  return {
    url,
    replicas: () => ({ first: url, second: url }),
    stop: async () => {
      await program.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
