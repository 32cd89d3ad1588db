import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SupervisedProcess, guardFolder, listeningLine } from '../../../tools/supervise/index.js';
import type { Server } from './server.js';
import { SETTINGS } from './settings.js';

const PROGRAM = path.resolve(import.meta.dirname, '../../../dist/apps/sbp-server/src/main.js');

/** `sbp-server start` in a process of its own, on a new data directory. */
export async function startEmbedded(): Promise<Server> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-e2e-embedded-'));
  guardFolder(dataDir);
  const program = new SupervisedProcess({
    name: 'sbp-server',
    launch: () => ({
      command: process.execPath,
      args: ['--enable-source-maps', PROGRAM, 'start', '--port', '0', '--data-dir', dataDir],
      env: { ...process.env, ...SETTINGS, SBP_BACKEND: 'embedded', SBP_PUBLIC_URL: '' },
    }),
    ready: listeningLine,
    logFile: path.join(dataDir, 'sbp-server.log'),
    pidFile: path.join(dataDir, 'sbp-server.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 60_000,
    restart: false,
  });
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
