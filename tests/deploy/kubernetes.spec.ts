import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROUTES, SERVICES, mostBundleBytes } from '#libs/protocol';
import { BUNDLES_AT_ONCE } from '#libs/roaming';
import { STOP_DEADLINE_MS, parseSettings } from '#libs/runtime';
import { PUBLIC_ROUTES } from '../../tools/generate/index.js';
import { filesBelow, textOf } from '../conformance/repository.js';
import { at, fieldsAt, listAt } from './documents.js';
import type { Fields } from './documents.js';
import { problemsOf } from './kubernetes-schema.js';
import { rendered } from './kustomize.js';
import { isJobOfAlerts, jobOf } from './scraping.js';
import { EXACT_TAG, EXAMPLE_SECRETS, unknownSettings } from './settings.js';

const OVERLAYS = ['k8s/overlays/dev', 'k8s/overlays/production'];
const OWN_PROGRAMS = ['front', 'migrate', ...SERVICES];

const nameOf = (object: Fields): string => String(at(object, 'metadata', 'name'));
const podOf = (object: Fields): Fields => fieldsAt(object, 'spec', 'template', 'spec');
const ofKind = (objects: readonly Fields[], kind: string): readonly Fields[] =>
  objects.filter((object) => at(object, 'kind') === kind);

describe('the check of Kubernetes objects', () => {
  const [deployment = {}] = ofKind(rendered('k8s/base'), 'Deployment');

  it('finds what is missing, of a wrong type, and unknown', () => {
    expect(problemsOf(deployment)).toEqual([]);
    const spec = fieldsAt(deployment, 'spec');
    expect(problemsOf({ ...deployment, spec: { ...spec, selector: undefined } }).join()).toContain(
      'selector',
    );
    expect(problemsOf({ ...deployment, spec: { ...spec, paused: 'no' } }).join()).toContain(
      'spec/paused must be boolean',
    );
    expect(problemsOf({ ...deployment, spec: { ...spec, replica: 1 } })).toEqual([
      '/spec/replica is unknown',
    ]);
  });
});

describe.each(OVERLAYS)('%s', (overlay) => {
  const objects = rendered(overlay);
  const workloads = ['Deployment', 'StatefulSet', 'Job'].flatMap((kind) => ofKind(objects, kind));
  const own = workloads.filter((object) => OWN_PROGRAMS.includes(nameOf(object)));
  const pods = workloads.map((object) => [nameOf(object), podOf(object)] as const);
  const containers = pods.flatMap(([name, pod]) =>
    [...listAt(pod, 'initContainers'), ...listAt(pod, 'containers')].map(
      (container) => [name, container] as const,
    ),
  );

  it('has only objects that Kubernetes takes', () => {
    expect(objects.length).toBeGreaterThan(20);
    expect(
      objects.flatMap((object) => problemsOf(object).map((what) => `${nameOf(object)}: ${what}`)),
    ).toEqual([]);
  });

  it('has every object once', () => {
    const names = objects.map((object) => `${String(at(object, 'kind'))} ${nameOf(object)}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it.each(['Deployment', 'Service', 'HorizontalPodAutoscaler', 'PodDisruptionBudget'])(
    'has a %s for every service and the front',
    (kind) => {
      expect(
        ofKind(objects, kind)
          .map(nameOf)
          .filter((name) => OWN_PROGRAMS.includes(name))
          .sort(),
      ).toEqual(['front', ...SERVICES].sort());
    },
  );

  it('gives settings that the services accept', () => {
    const settings = ofKind(objects, 'ConfigMap').find((object) => nameOf(object) === 'settings');
    const data = fieldsAt(settings, 'data') as Readonly<Record<string, string>>;
    const variables = containers.flatMap(([, container]) =>
      listAt(container, 'env').map(({ name }) => String(name)),
    );
    const sbp = variables.filter((name) => name.startsWith('SBP_'));
    expect(unknownSettings([...Object.keys(data), ...sbp])).toEqual([]);
    const environment = { ...data, ...EXAMPLE_SECRETS, SBP_HOST: '127.0.0.1' };
    expect(parseSettings(environment).port).toBe(8080);
  });

  it('names secrets, and has none', () => {
    expect(ofKind(objects, 'Secret')).toEqual([]);
    const values = containers.flatMap(([, container]) => listAt(container, 'env'));
    const secret = values.filter(({ name }) =>
      /SECRET|PASSWORD|API_KEY|POSTGRES_URL/.test(String(name)),
    );
    expect(secret.length).toBeGreaterThan(SERVICES.length);
    for (const each of secret)
      expect(at(each, 'valueFrom', 'secretKeyRef', 'key')).toBe(each['name']);
  });

  it('restrains every container', () => {
    for (const [name, pod] of pods) {
      expect([name, fieldsAt(pod, 'securityContext')]).toEqual([
        name,
        expect.objectContaining({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        }),
      ]);
      expect([name, pod['automountServiceAccountToken']]).toEqual([name, false]);
    }
    for (const [name, container] of containers) {
      const isOwn = OWN_PROGRAMS.includes(name);
      expect([name, fieldsAt(container, 'securityContext')]).toEqual([
        name,
        expect.objectContaining({
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          ...(isOwn ? { readOnlyRootFilesystem: true } : {}),
        }),
      ]);
      expect([name, at(container, 'resources', 'limits', 'memory')]).toEqual([
        name,
        expect.any(String),
      ]);
    }
  });

  it('asks each service for its health by paths of the route table', () => {
    const known = ROUTES.filter(({ service }) => service === 'all').map(({ path }) => path);
    for (const service of SERVICES) {
      const [container = {}] = listAt(
        podOf(own.find((one) => nameOf(one) === service) ?? {}),
        'containers',
      );
      const asked = ['startupProbe', 'livenessProbe', 'readinessProbe'].map((probe) =>
        at(container, probe, 'httpGet', 'path'),
      );
      expect(asked).toEqual(['/health/live', '/health/live', '/health/ready']);
      expect(known).toEqual(expect.arrayContaining(asked));
    }
  });

  it('waits longer for the end of a process than the process takes', () => {
    for (const workload of own.filter((object) => at(object, 'kind') === 'Deployment')) {
      const pod = podOf(workload);
      const [container = {}] = listAt(pod, 'containers');
      const before = Number(at(container, 'lifecycle', 'preStop', 'sleep', 'seconds'));
      const stop = nameOf(workload) === 'front' ? frontStopSeconds() : STOP_DEADLINE_MS / 1000;
      expect(Number(pod['terminationGracePeriodSeconds'])).toBeGreaterThan(before + stop);
    }
  });

  it('shows each service the Secret of key files as it is, readable for its group alone', () => {
    for (const service of SERVICES) {
      const pod = podOf(own.find((one) => nameOf(one) === service) ?? {});
      const volume = listAt(pod, 'volumes').find(({ name }) => name === 'keys');
      // What is copied, or mounted by its `subPath`, does not change with the Secret.
      expect(volume).toEqual({
        name: 'keys',
        secret: { secretName: 'keys', optional: true, defaultMode: 0o440 },
      });
      expect([service, listAt(pod, 'initContainers')]).toEqual([service, []]);
      expect(at(pod, 'securityContext', 'fsGroup')).toBe(at(pod, 'securityContext', 'runAsGroup'));
      const [container = {}] = listAt(pod, 'containers');
      const mounted = listAt(container, 'volumeMounts').find(({ name }) => name === 'keys');
      expect(mounted).toEqual({ name: 'keys', mountPath: '/keys', readOnly: true });
    }
  });

  it('has room for the bundles of other servers in the temporary folder of roaming', () => {
    const pod = podOf(own.find((one) => nameOf(one) === 'roaming') ?? {});
    const tmp = listAt(pod, 'volumes').find(({ name }) => name === 'tmp');
    const [, gibibytes] = /^(\d+)Gi$/.exec(String(at(tmp, 'emptyDir', 'sizeLimit'))) ?? [];
    const { sessionBytes } = parseSettings({}).limits;
    const bundles = BUNDLES_AT_ONCE * mostBundleBytes(sessionBytes);
    expect(Number(gibibytes) * 1024 ** 3).toBeGreaterThan(bundles);
  });

  it('lets every service out to an identity provider, and to a collector of traces', () => {
    const labels = { 'app.kubernetes.io/component': 'service' };
    const ports = ofKind(objects, 'NetworkPolicy')
      .filter((policy) =>
        isDeepStrictEqual(at(policy, 'spec', 'podSelector', 'matchLabels'), labels),
      )
      .flatMap((policy) => listAt(policy, 'spec', 'egress'))
      .flatMap((rule) => listAt(rule, 'ports').map(({ port }) => port));
    expect(ports).toEqual(expect.arrayContaining([443, 4318]));
  });

  it('selects the pods that it means', () => {
    const labels = (object: Fields): Fields =>
      fieldsAt(object, 'spec', 'template', 'metadata', 'labels');
    const selects = (selector: Fields, workload: Fields): boolean =>
      Object.entries(selector).every(([name, value]) => labels(workload)[name] === value);
    for (const object of [
      ...ofKind(objects, 'Service'),
      ...ofKind(objects, 'PodDisruptionBudget'),
    ]) {
      const selector = fieldsAt(object, 'spec', 'selector');
      const wanted =
        at(object, 'kind') === 'Service' ? selector : fieldsAt(selector, 'matchLabels');
      expect(workloads.filter((each) => selects(wanted, each)).map(nameOf)).toEqual([
        nameOf(object),
      ]);
    }
    for (const policy of ofKind(objects, 'NetworkPolicy').filter(
      (each) => nameOf(each) !== 'default-deny',
    )) {
      const text = JSON.stringify(policy);
      const components = [...text.matchAll(/"app\.kubernetes\.io\/component":"(\w+)"/g)];
      for (const [, component] of components) {
        const has = workloads.some(
          (each) => labels(each)['app.kubernetes.io/component'] === component,
        );
        expect([nameOf(policy), component, has || component === 'storage']).toEqual([
          nameOf(policy),
          component,
          true,
        ]);
      }
    }
  });
});

describe('the Ingress', () => {
  const [ingress = {}] = ofKind(rendered('k8s/base'), 'Ingress');
  const paths = listAt(ingress, 'spec', 'rules', 0, 'http', 'paths');
  const covers = (rule: Fields, path: string): boolean =>
    rule['pathType'] === 'Exact'
      ? rule['path'] === path
      : path === rule['path'] || path.startsWith(`${String(rule['path'])}/`);
  /** Paths as clients ask for them. */
  const asked = PUBLIC_ROUTES.map(({ path }) => path.replaceAll(/\{\*?\w+\}/g, 'some-thing.css'));

  it('leads every route to the front, and nothing else', () => {
    expect(asked).toContain('/docs/some-thing.css');
    const lost = asked.filter((path) => !paths.some((rule) => covers(rule, path)));
    const idle = paths.filter((rule) => !asked.some((path) => covers(rule, path)));
    expect([lost, idle]).toEqual([[], []]);
    for (const rule of paths) {
      expect(at(rule, 'backend', 'service')).toEqual({ name: 'front', port: { name: 'http' } });
      expect(covers(rule, '/metrics')).toBe(false);
    }
  });

  it('has paths of letters that a strict controller takes, each once', () => {
    const written = paths.map((rule) => String(rule['path']));
    expect(written.filter((path) => !/^[A-Za-z0-9._/-]+$/.test(path))).toEqual([]);
    expect(new Set(written).size).toBe(written.length);
  });
});

describe('k8s/components/prometheus-operator', () => {
  const objects = rendered('k8s/components/prometheus-operator');
  const [monitor = {}] = ofKind(objects, 'ServiceMonitor');
  const [endpoint = {}] = listAt(monitor, 'spec', 'endpoints');

  it('asks for metrics as an operator: they need a key where access does', () => {
    expect(ROUTES.map(({ path }) => path)).toContain(endpoint['path']);
    expect(endpoint['authorization']).toEqual({
      credentials: { name: 'prometheus', key: 'operator-key' },
    });
    expect(JSON.stringify(objects)).not.toMatch(/sbp_[0-9a-f]/);
  });

  it('asks the Services of all services, and of nothing else', () => {
    const { matchLabels, matchExpressions } = fieldsAt(monitor, 'spec', 'selector');
    expect(matchLabels).toEqual({ 'app.kubernetes.io/part-of': 'statebridge' });
    const others = at(matchExpressions, 0, 'values');
    const services = ofKind(rendered('k8s/overlays/dev'), 'Service');
    expect(services.map(nameOf).filter((name) => !(others as string[]).includes(name))).toEqual([
      ...SERVICES,
    ]);
    for (const service of services.filter((each) => SERVICES.some((one) => one === nameOf(each)))) {
      expect(at(service, 'spec', 'ports', 0, 'name')).toBe(endpoint['port']);
    }
  });

  it('names jobs as the alert rules do', () => {
    const rules = listAt(endpoint, 'relabelings');
    expect(rules).toMatchObject([{ sourceLabels: ['__meta_kubernetes_service_name'] }]);
    for (const service of SERVICES) {
      const job = jobOf(rules, service);
      expect([job, isJobOfAlerts(job)]).toEqual([`statebridge-${service}`, true]);
    }
  });

  it('has a policy that Kubernetes takes, by which Prometheus reaches the services', () => {
    const policies = ofKind(objects, 'NetworkPolicy');
    expect(policies.map(nameOf)).toEqual(['services-from-prometheus']);
    expect(policies.flatMap(problemsOf)).toEqual([]);
  });
});

describe('k8s', () => {
  it('names images by exact tags', () => {
    const files = filesBelow(['k8s'], (file) => file.endsWith('.yaml'));
    const images = files.flatMap((file) =>
      [...textOf(file).matchAll(/\bimage: (\S+)/g)].map(([, image = '']) => image),
    );
    expect(images.length).toBeGreaterThan(5);
    expect(images.filter((image) => !EXACT_TAG.test(image))).toEqual([]);
  });
});

function frontStopSeconds(): number {
  const [, seconds] =
    /worker_shutdown_timeout (\d+)s;/.exec(textOf('deploy/nginx/nginx.conf')) ?? [];
  return Number(seconds);
}
