// Builds every target of the Dockerfile, runs `sbp-server` alone, and the others together as
// docker-compose.yml says, on a real Kafka and Postgres: no engine, no registry. Ends with 1 where
// anything fails.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICES } from '#libs/protocol';
import { parse } from 'yaml';
import { createDatabase, freePort, startKafka, startPostgres } from '../infrastructure/index.js';
import { fillBase, requirePrograms } from './base-image.js';
import { Buildah } from './buildah.js';
import { Container } from './container.js';
import { gettingStarted } from './getting-started.js';

// This module is run in its built form, below `dist`.
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const BASE = 'localhost/stand-in';
const TARGETS = ['tool', ...SERVICES, 'sbp-server', 'front'];

const ROOM = 8 * 1024 ** 3;

const started = Date.now();
const say = (message: string): void => {
  process.stdout.write(`[images] ${((Date.now() - started) / 1000).toFixed(0)} s: ${message}\n`);
};

const folder = await mkdtemp(path.join(await roomyFolder(), 'statebridge-images-'));
const endings: (() => unknown)[] = [() => rm(folder, { recursive: true, force: true })];
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(1));
try {
  await requirePrograms();
  const buildah = await Buildah.open(path.join(folder, 'buildah'));
  endings.push(() => buildah.close());
  await buildah.make(BASE, (target) => fillBase(target, say));
  for (const target of TARGETS) {
    say(`building ${target}`);
    await buildah.build(root, target, { NODE_IMAGE: BASE, NGINX_IMAGE: BASE });
  }
  await runAlone(buildah);
  await runTogether(buildah);
  say('every image was built and ran');
  await end(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  await end(1);
}

/** Where images are kept: in memory if there is room, because they are some GB of small files. */
async function roomyFolder(): Promise<string> {
  const memory = await statfs('/dev/shm').catch(() => null);
  const free = memory === null ? 0 : memory.bavail * memory.bsize;
  return free > ROOM ? '/dev/shm' : tmpdir();
}

/** The image that is everything in one process, with its storage in its own folder. */
async function runAlone(buildah: Buildah): Promise<void> {
  const port = await freePort();
  const settings = { SBP_HOST: '127.0.0.1', SBP_PORT: String(port) };
  const container = await Container.start(buildah, 'sbp-server', settings);
  endings.push(() => container.kill());
  await container.ready(`http://127.0.0.1:${port}/health/ready`);
  await gettingStarted(`http://127.0.0.1:${port}`);
  await container.stop('SIGTERM');
  say('the steps of getting started went through sbp-server, and it ended when it was asked to');
}

async function runTogether(buildah: Buildah): Promise<void> {
  const settings = await settingsOfCompose();
  const args = ['migrate'];
  const migrate = await Container.start(buildah, 'tool', settings('migrate'), { args });
  say((await migrate.ended()).trim());

  const ports = new Map<string, number>();
  const containers: Container[] = [];
  endings.push(() => containers.forEach((each) => each.kill()));
  for (const service of SERVICES) {
    const port = await freePort();
    ports.set(service, port);
    const container = await Container.start(buildah, service, {
      ...settings(service),
      SBP_PORT: String(port),
    });
    containers.push(container);
    await container.ready(`http://127.0.0.1:${port}/health/ready`);
    say(`${service} is ready`);
  }
  const front = await startFront(buildah, ports);
  containers.push(front.container);
  await gettingStarted(front.url);
  say('the steps of getting started went through the front');

  for (const container of containers.splice(0).reverse())
    await container.stop(container === front.container ? 'SIGQUIT' : 'SIGTERM');
  say('every program ended when it was asked to');
}

/** What compose gives a service, with this machine's hosts in place of its network's. */
async function settingsOfCompose(): Promise<(service: string) => Record<string, string>> {
  const [kafka, postgres] = await Promise.all([
    startKafka({ dataDir: path.join(folder, 'kafka'), say }),
    startPostgres({ dataDir: path.join(folder, 'postgres'), unsafe: true }),
  ]);
  endings.push(() => Promise.all([kafka.stop(), postgres.stop()]));
  const database = await createDatabase(postgres.url, 'statebridge');
  const text = readFileSync(path.join(root, 'docker-compose.yml'), 'utf8');
  const { services } = parse(text, { merge: true }) as {
    services: Record<string, { environment: Record<string, string> }>;
  };
  return (service) => {
    const given = Object.entries(services[service]?.environment ?? {});
    return {
      ...Object.fromEntries(
        given.map(([name, value]) => [
          name,
          value.replaceAll(/\$\{\w+(?::-([^}]*))?[^}]*\}/g, '$1'),
        ]),
      ),
      SBP_HOST: '127.0.0.1',
      // Getting started is without a key.
      SBP_AUTH: 'none',
      SBP_KAFKA_BROKERS: kafka.brokers,
      SBP_KAFKA_REPLICATION: '1',
      SBP_KAFKA_MIN_ISR: '1',
      SBP_POSTGRES_URL: database,
      SBP_JWT_SECRET: 'a-secret-of-the-check-of-images',
    };
  };
}

/** The front with its own configuration, but for its ports and the addresses of the services. */
async function startFront(buildah: Buildah, ports: ReadonlyMap<string, number>) {
  const [port, watched] = [await freePort(), await freePort()];
  const file = path.join(folder, 'nginx.conf');
  const text = readFileSync(path.join(root, 'deploy/nginx/nginx.conf'), 'utf8');
  const changed = text
    .replace('listen 8080 ', `listen 127.0.0.1:${port} `)
    .replace('listen 8081 ', `listen 127.0.0.1:${watched} `)
    // A pipe of another user cannot be opened by its name.
    .replace('/dev/stdout', '/tmp/access.log');
  await writeFile(file, changed);
  const upstreams = path.join(folder, 'upstreams.conf');
  const lines = [...ports].map(([service, at]) => `  ${service} 127.0.0.1:${at};\n`);
  await writeFile(upstreams, `map $sbp_service $sbp_upstream {\n${lines.join('')}}\n`);
  const inside = '/etc/nginx/statebridge';
  const container = await Container.start(
    buildah,
    'front',
    {},
    {
      volumes: [`${file}:${inside}/nginx.conf:ro`, `${upstreams}:${inside}/upstreams.conf:ro`],
    },
  );
  endings.push(() => container.kill());
  await container.ready(`http://127.0.0.1:${watched}/`);
  return { container, url: `http://127.0.0.1:${port}` };
}

async function end(code: number): Promise<never> {
  for (const ending of endings.splice(0).reverse()) await Promise.resolve(ending()).catch(say);
  process.exit(code);
}
