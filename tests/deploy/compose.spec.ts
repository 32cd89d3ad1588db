import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { SERVICES } from '#libs/protocol';
import { SETTING_NAMES, STOP_DEADLINE_MS, parseSettings } from '#libs/runtime';
import { textOf } from '../conformance/repository.js';
import { at, composeFile, fieldsAt, listAt, textsAt } from './documents.js';
import type { Fields } from './documents.js';
import { isJobOfAlerts, jobOf } from './scraping.js';
import { EXACT_TAG, EXAMPLE_SECRETS, unknownSettings } from './settings.js';

const REQUIRED = {
  SBP_JWT_SECRET: EXAMPLE_SECRETS.SBP_JWT_SECRET,
  POSTGRES_PASSWORD: 'password',
} as const;
const ONE_BROKER = 'deploy/compose/one-broker.yml';

const compose = composeFile('docker-compose.yml', REQUIRED);
const services = compose['services'] as Readonly<Record<string, Fields>>;
const service = (name: string): Fields => services[name] ?? {};
const environmentOf = (name: string): Readonly<Record<string, string>> =>
  fieldsAt(service(name), 'environment') as Readonly<Record<string, string>>;
const seconds = (text: unknown): number => Number(/^(\d+)s$/.exec(String(text))?.[1]);

/** Those that are started by `docker compose up`. */
const started = Object.keys(services).filter((name) => service(name)['profiles'] === undefined);
const OWN = ['front', 'migrate', 'tool', ...SERVICES];

describe('docker-compose.yml', () => {
  it.each(['docker-compose.yml', ONE_BROKER])('%s has the form of a compose file', (file) => {
    const schema = JSON.parse(textOf('tests/deploy/compose-spec.schema.json')) as object;
    const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    const isValid = ajv.compile(schema);
    const document = composeFile(file, REQUIRED);
    isValid(document);
    expect(isValid.errors).toBeNull();
    expect(isValid({ ...document, services: { front: { imag: 'x' } } })).toBe(false);
  });

  it('has every service, the front, and the job that comes before them', () => {
    const others = [
      'postgres',
      'prometheus',
      'grafana',
      'kafka-ui',
      'kafka-1',
      'kafka-2',
      'kafka-3',
    ];
    expect(Object.keys(services).sort()).toEqual([...OWN, ...others].sort());
    for (const name of OWN) {
      const target = name === 'migrate' ? 'tool' : name;
      expect([name, at(service(name), 'build', 'target')]).toEqual([name, target]);
    }
    expect(Object.keys(fieldsAt(service('front'), 'depends_on')).sort()).toEqual(
      [...SERVICES].sort(),
    );
    for (const name of SERVICES) {
      expect(fieldsAt(service(name), 'depends_on')).toEqual({
        migrate: { condition: 'service_completed_successfully' },
      });
    }
  });

  it.each(Object.keys(REQUIRED))('does not start without %s', (name) => {
    expect(() => composeFile('docker-compose.yml', { ...REQUIRED, [name]: '' })).toThrow(name);
    expect(textOf('.env.example')).toMatch(new RegExp(`^${name}=$`, 'm'));
  });

  it('offers in .env.example what it reads, and nothing else', () => {
    const read = [...textOf('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
    const offered = [...textOf('.env.example').matchAll(/^(\w+)=/gm)].map(([, name]) => name);
    expect(offered.toSorted()).toEqual([...new Set(read)].sort());
  });

  it.each(['migrate', 'tool', ...SERVICES])('gives %s settings that it accepts', (name) => {
    const environment = environmentOf(name);
    expect(unknownSettings(Object.keys(environment))).toEqual([]);
    const settings = parseSettings({ ...environment, SBP_HOST: '127.0.0.1' });
    expect(settings).toMatchObject({
      port: 8080,
      backend: { type: 'kafka', replication: 3, minIsr: 2 },
    });
    if (settings.backend.type !== 'kafka') throw new Error('it is kafka');
    const hosts = [...settings.backend.brokers, new URL(settings.backend.postgresUrl).host];
    for (const host of hosts) expect(Object.keys(services)).toContain(host.split(':')[0]);
  });

  it('publishes the front alone, and what a profile adds on loopback only', () => {
    const published = Object.keys(services).filter(
      (name) => textsAt(service(name), 'ports').length > 0,
    );
    expect(published.filter((name) => started.includes(name))).toEqual(['front']);
    for (const name of published) {
      const [port] = textsAt(service(name), 'ports');
      expect([name, port]).toEqual([name, expect.stringMatching(/^127\.0\.0\.1:\d+:\d+$/)]);
    }
    expect(textsAt(service('front'), 'ports')[0]).toMatch(/:8080$/);
  });

  it('keeps what holds data or needs no internet away from it', () => {
    const networks = fieldsAt(compose, 'networks');
    const isClosed = (name: string): boolean => at(networks, name, 'internal') === true;
    const outside = Object.keys(services).filter((name) =>
      textsAt(service(name), 'networks').some((network) => !isClosed(network)),
    );
    // Each service asks an identity provider for its keys, and sends its spans to a collector.
    expect(outside.sort()).toEqual([...SERVICES, 'front', 'grafana', 'kafka-ui'].sort());
  });

  it('passes every setting on, but for those that make no sense in it', () => {
    // Nothing is kept in a container, its Kafka is its own, and it is not for trying out.
    const senseless = /^SBP_(?:DATA_DIR|KAFKA_TOPIC_PREFIX|DEMO_\w+)$/;
    for (const name of SERVICES) {
      const passed = Object.keys(environmentOf(name));
      const missing = SETTING_NAMES.filter((setting) => !passed.includes(setting));
      expect([name, missing.filter((setting) => !senseless.test(setting))]).toEqual([name, []]);
      expect(passed.filter((setting) => senseless.test(setting))).toEqual([]);
    }
  });

  it('gives each service what .env says, and nothing where it says nothing', () => {
    const offered = [...textOf('.env.example').matchAll(/^(\w+)=/gm)].map(([, name = '']) => name);
    const settings = offered.filter((name) => SETTING_NAMES.some((setting) => setting === name));
    expect(settings.length).toBeGreaterThan(30);
    const said = Object.fromEntries(settings.map((name) => [name, `what ${name} says`]));
    const filled = composeFile('docker-compose.yml', { ...REQUIRED, ...said });
    for (const name of SERVICES) {
      expect(fieldsAt(filled, 'services', name, 'environment')).toMatchObject(said);
    }
    const unset = Object.entries(environmentOf('completions')).filter(([, value]) => value === '');
    expect(unset.length).toBeGreaterThan(20);
    const without = Object.fromEntries(
      Object.entries(environmentOf('completions')).filter(([, value]) => value !== ''),
    );
    expect(parseSettings(environmentOf('completions'))).toEqual(parseSettings(without));
  });

  it('restrains every container', () => {
    for (const [name, each] of Object.entries(services)) {
      expect([name, each]).toEqual([
        name,
        expect.objectContaining({
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
          restart: name === 'migrate' ? 'on-failure:5' : name === 'tool' ? 'no' : 'unless-stopped',
          read_only: true,
          ...(OWN.includes(name) ? { tmpfs: name === 'roaming' ? [] : ['/tmp'] } : {}),
        }),
      ]);
      const limits = fieldsAt(each, 'deploy', 'resources', 'limits');
      expect([name, Object.keys(limits).sort()]).toEqual([name, ['cpus', 'memory']]);
    }
  });

  it('has a folder for temporary files wherever the root cannot be written to', () => {
    for (const [name, each] of Object.entries(services)) {
      const places = [
        ...textsAt(each, 'tmpfs').map((place) => place.split(':')[0]),
        ...textsAt(each, 'volumes').map((volume) => volume.split(':')[1]),
      ];
      // Prometheus writes to its volume alone.
      expect([name, places.includes('/tmp')]).toEqual([name, name !== 'prometheus']);
    }
    // Bundles of other servers would fill the memory.
    expect(textsAt(service('roaming'), 'volumes')).toContain('bundles:/tmp');
    expect(Object.keys(fieldsAt(compose, 'volumes'))).toContain('bundles');
  });

  it('asks every lasting container for its health', () => {
    const lasting = Object.keys(services).filter((name) => !['migrate', 'tool'].includes(name));
    for (const name of lasting) {
      expect([name, at(service(name), 'healthcheck', 'test', 0)]).toEqual([name, 'CMD']);
    }
  });

  it('ends every container no sooner than it ends by itself', () => {
    for (const name of started.filter((each) => each !== 'migrate')) {
      const grace = seconds(service(name)['stop_grace_period']);
      expect(grace).toBeGreaterThan(STOP_DEADLINE_MS / 1000 + 1);
    }
  });

  it('names images by exact tags', () => {
    const images = Object.values(services).map((each) => String(each['image']));
    expect(images.filter((image) => !EXACT_TAG.test(image))).toEqual([]);
  });

  it('has named volumes for all that must last', () => {
    const volumes = Object.keys(fieldsAt(compose, 'volumes'));
    for (const name of ['postgres', 'kafka-1', 'kafka-2', 'kafka-3']) {
      const mounted = textsAt(service(name), 'volumes').map((each) => each.split(':')[0]);
      expect([name, mounted]).toEqual([name, [name]]);
      expect(volumes).toContain(name);
    }
  });

  it('has brokers that elect one another and keep what the log needs', () => {
    for (const id of ['1', '2', '3']) {
      expect(environmentOf(`kafka-${id}`)).toMatchObject({
        KAFKA_NODE_ID: id,
        KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://kafka-${id}:9092`,
        KAFKA_CONTROLLER_QUORUM_VOTERS: '1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093',
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      });
    }
  });
});

describe(ONE_BROKER, () => {
  const override = composeFile(ONE_BROKER, REQUIRED);

  it('tells every program that there is one', () => {
    const told = Object.entries(fieldsAt(override, 'services')).filter(
      ([, each]) => at(each, 'environment', 'SBP_KAFKA_BROKERS') !== undefined,
    );
    expect(told.map(([name]) => name).sort()).toEqual(['migrate', 'tool', ...SERVICES].sort());
    for (const [, each] of told) {
      const environment = { ...environmentOf('migrate'), ...fieldsAt(each, 'environment') };
      const { backend } = parseSettings({ ...environment, SBP_HOST: '127.0.0.1' });
      expect(backend).toMatchObject({ brokers: ['kafka-1:9092'], replication: 1, minIsr: 1 });
    }
  });
});

describe('deploy/prometheus/prometheus.yml', () => {
  it('asks every replica of every service', () => {
    const prometheus = composeFile('deploy/prometheus/prometheus.yml', {});
    const [job = {}] = listAt(prometheus, 'scrape_configs');
    const [search = {}] = listAt(job, 'dns_sd_configs');
    expect(search['names']).toEqual([...SERVICES]);
    expect([search['port'], job['metrics_path']]).toEqual([8080, '/metrics']);
    for (const name of SERVICES) {
      const named = jobOf(listAt(job, 'relabel_configs'), name);
      expect([named, isJobOfAlerts(named)]).toEqual([`statebridge-${name}`, true]);
    }
  });
});
