import path from 'node:path';
import { SupervisedProcess, listeningLine } from '../supervise/index.js';
import type { ServiceName } from '#libs/protocol';

export interface ServiceOptions {
  readonly kind: ServiceName;
  readonly replica: number;
  readonly port: number;
  /** A module for Node: built JavaScript, or a test's own program. */
  readonly entry: string;
  /** Asked before each start. */
  readonly env: () => NodeJS.ProcessEnv;
  readonly dataDir: string;
  readonly logDir: string;
  readonly restart: boolean;
}

/** The pid files of a stack's services. */
export function runFolder(dataDir: string): string {
  return path.join(dataDir, 'run');
}

/**
 * One replica of a service. Its port never changes, so that the front finds it again after a
 * restart.
 */
export class ServiceProcess extends SupervisedProcess {
  readonly kind: ServiceName;
  readonly replica: number;

  constructor(options: ServiceOptions) {
    const name = `${options.kind}-${options.replica}`;
    super({
      name,
      launch: () => ({
        command: process.execPath,
        args: ['--enable-source-maps', options.entry],
        env: { ...options.env(), SBP_HOST: '127.0.0.1', SBP_PORT: String(options.port) },
        ipc: true,
      }),
      ready: listeningLine,
      logFile: path.join(options.logDir, `${name}.log`),
      pidFile: path.join(runFolder(options.dataDir), `${name}.json`),
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 10_000,
      readyTimeoutMs: 60_000,
      restart: options.restart,
    });
    this.kind = options.kind;
    this.replica = options.replica;
  }
}
