import { SERVICES } from '#libs/protocol';
import { stringify } from 'yaml';
import { FRONTED_SERVICES, PUBLIC_ROUTES } from './front-routes.js';
import { PART_OF, serviceObjects } from './kubernetes-service.js';

const NOTICE =
  '# Generated from libs/protocol by `node tools/setup/run.mjs generate`. Do not edit: patch it in an\n' +
  '# overlay, or change tools/generate/deployment.\n';

type PathType = 'Prefix' | 'Exact';

/** Repeated parts are written out, because anchors hide what an object has; text stays in lines. */
const WRITING = { aliasDuplicateObjects: false, lineWidth: 0, blockQuote: 'literal' } as const;

/** Files of `k8s/base`, by their paths from the root. */
export function kubernetesFiles(): Readonly<Record<string, string>> {
  return {
    ...Object.fromEntries(
      SERVICES.map((service) => [
        `k8s/base/services/${service}.yaml`,
        yaml(serviceObjects(service)),
      ]),
    ),
    'k8s/base/services/kustomization.yaml': yaml([
      {
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: SERVICES.map((service) => `${service}.yaml`),
      },
    ]),
    'k8s/base/front-upstreams.yaml': yaml([upstreams()]),
    'k8s/base/ingress.yaml': yaml([ingress()]),
  };
}

/** Replaces the `upstreams.conf` of the front's image. */
function upstreams(): object {
  const groups = FRONTED_SERVICES.map(
    (service) => `upstream ${service} {\n  server ${service}:8080;\n  keepalive 32;\n}\n`,
  );
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'front-upstreams', labels: PART_OF },
    data: {
      'upstreams.conf': `# Services by the addresses of their Service objects, which never change.
${groups.join('')}
map $sbp_service $sbp_upstream {
  default $sbp_service;
}

# The ingress is the one that clients reach; nobody else can reach this port (network-policies.yaml).
set_real_ip_from 10.0.0.0/8;
set_real_ip_from 172.16.0.0/12;
set_real_ip_from 192.168.0.0/16;
set_real_ip_from fd00::/8;
real_ip_header X-Forwarded-For;
real_ip_recursive on;
`,
    },
  };
}

/**
 * Everything of the route table leads to the front, and nothing else does. An Ingress cannot choose
 * the service: it has no paths with a parameter in their middle.
 */
function ingress(): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'statebridge', labels: PART_OF },
    spec: {
      rules: [
        {
          http: {
            paths: ingressPaths().map(([path, pathType]) => ({
              path,
              pathType,
              backend: { service: { name: 'front', port: { name: 'http' } } },
            })),
          },
        },
      ],
    },
  };
}

/** Each path once: where one is both, the prefix covers the single path. */
function ingressPaths(): readonly (readonly [string, PathType])[] {
  const rules = PUBLIC_ROUTES.map(({ path }) => ingressPath(path));
  return [...new Map([...rules, ...rules.filter(([, type]) => type === 'Prefix')])];
}

/**
 * The API's version is a prefix, and so is what stands before a parameter: an Ingress knows no
 * parameters, and ingress-nginx refuses the whole object for a brace. All others are single paths.
 */
function ingressPath(path: string): readonly [string, PathType] {
  const version = /^\/v\d+(?=\/)/.exec(path)?.[0];
  if (version !== undefined) return [version, 'Prefix'];
  const parameter = path.indexOf('/{');
  return parameter === -1 ? [path, 'Exact'] : [path.slice(0, parameter), 'Prefix'];
}

function yaml(objects: readonly object[]): string {
  const documents = objects.map((each) => stringify(each, WRITING));
  return NOTICE + documents.join('---\n');
}
