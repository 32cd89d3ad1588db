import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { pause } from '#libs/timing';
import { findNginx, freePort } from '../../../tools/infrastructure/index.js';
import { SupervisedProcess, guardFolder } from '../../../tools/supervise/index.js';

const CONFIGURATION = path.resolve(import.meta.dirname, '../../../deploy/nginx');

export interface Nginx {
  readonly url: string;
  /** All that it wrote: its access log, and its errors. */
  output(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * The system's nginx with the configuration that the front's image has, but for its ports, its
 * folder and the addresses of the services: `host:port`, several for several replicas.
 */
export async function startNginx(
  addresses: Readonly<Record<ServiceName, readonly string[]>>,
  port: number,
): Promise<Nginx> {
  const program = await findNginx();
  const folder = await mkdtemp(path.join(tmpdir(), 'statebridge-nginx-'));
  guardFolder(folder);
  await cp(CONFIGURATION, folder, { recursive: true });
  const main = path.join(folder, 'nginx.conf');
  const watched = await freePort();
  await rewrite(main, [
    [' /tmp/', ` ${folder}/`],
    ['listen 8080 ', `listen 127.0.0.1:${port} `],
    ['listen 8081 ', `listen 127.0.0.1:${watched} `],
    // Node's pipes are sockets, which cannot be opened again by a name.
    ['access_log /dev/stdout ', `access_log ${folder}/access.log `],
  ]);
  await writeFile(path.join(folder, 'upstreams.conf'), upstreams(addresses));
  const logFile = path.join(folder, 'nginx.log');
  // Its workers would become a user who may not write here.
  const user = process.getuid?.() === 0 ? 'user root; ' : '';
  const supervised = new SupervisedProcess({
    name: 'nginx',
    launch: () => ({
      command: program,
      args: ['-e', 'stderr', '-p', folder, '-c', main, '-g', `${user}daemon off;`],
    }),
    ready: async ({ signal }) => {
      for (;;) {
        signal.throwIfAborted();
        const isUp = await fetch(`http://127.0.0.1:${watched}/`, { signal }).then(
          ({ ok }) => ok,
          () => false,
        );
        if (isUp) return `http://127.0.0.1:${port}`;
        await pause(20, signal);
      }
    },
    logFile,
    pidFile: path.join(folder, 'nginx.json'),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    readyTimeoutMs: 20_000,
    restart: false,
  });
  await supervised.start();
  return {
    url: `http://127.0.0.1:${port}`,
    output: async () =>
      (await readFile(path.join(folder, 'access.log'), 'utf8')) + (await readFile(logFile, 'utf8')),
    stop: async () => {
      await supervised.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function rewrite(
  file: string,
  replacements: readonly (readonly [string, string])[],
): Promise<void> {
  let text = await readFile(file, 'utf8');
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  await writeFile(file, text);
}

function upstreams(addresses: Readonly<Record<ServiceName, readonly string[]>>): string {
  const groups = SERVICES.map((service) => {
    const servers = addresses[service].map((address) => `  server ${address} max_fails=0;`);
    return `upstream ${service} {\n${servers.join('\n')}\n  keepalive 16;\n}\n`;
  });
  return `${groups.join('')}map $sbp_service $sbp_upstream { default $sbp_service; }\n`;
}
