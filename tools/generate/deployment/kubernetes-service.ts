import { mostBundleBytes } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { BUNDLES_AT_ONCE } from '#libs/roaming';
import { parseSettings } from '#libs/runtime';

/** How much of a cluster one service takes. */
interface Shape {
  readonly requests: { readonly cpu: string; readonly memory: string };
  /** Of memory; processor time is not limited, because a throttled process looks dead to others. */
  readonly memoryLimit: string;
  readonly replicas: { readonly least: number; readonly most: number };
}

/** What the overlays may change by patches. */
const SHAPES: Readonly<Record<ServiceName, Shape>> = {
  completions: shape('500m', '384Mi', '1Gi', 2, 12),
  sessions: shape('250m', '256Mi', '768Mi', 2, 12),
  gateway: shape('250m', '256Mi', '768Mi', 2, 12),
  roaming: shape('100m', '256Mi', '768Mi', 2, 6),
  audit: shape('100m', '192Mi', '512Mi', 2, 6),
  analytics: shape('100m', '192Mi', '512Mi', 2, 6),
};

/** What a service keeps in its temporary folder, where it keeps anything. */
const TEMPORARY_FILES: Readonly<Partial<Record<ServiceName, string>>> = {
  roaming: gibibytes(
    (BUNDLES_AT_ONCE + 1) * mostBundleBytes(parseSettings({}).limits.sessionBytes),
  ),
};

export const PART_OF = { 'app.kubernetes.io/part-of': 'statebridge' } as const;

/** The release that the images have; overlays choose another. */
const TAG = '0.1.0';

const PORT = 8080;

/**
 * The objects of one service. A Deployment, because nothing is kept in a pod and no pod has a name
 * that matters: a process leases its slot in the database when it starts, under a new incarnation.
 */
export function serviceObjects(service: ServiceName): readonly object[] {
  const labels = { 'app.kubernetes.io/name': service, ...PART_OF };
  const matchLabels = labels;
  const metadata = { name: service, labels };
  const { replicas } = SHAPES[service];
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      // No `replicas`: they are the autoscaler's, and applying this again must not undo its work.
      spec: {
        selector: { matchLabels },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: { labels: { ...labels, 'app.kubernetes.io/component': 'service' } },
          spec: podSpec(service, matchLabels),
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: matchLabels, ports: [{ name: 'http', port: PORT, targetPort: 'http' }] },
    },
    {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata,
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: service },
        minReplicas: replicas.least,
        maxReplicas: replicas.most,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
          },
        ],
        // Each pod that goes hands its turns over and closes its sockets: slowly, one by one.
        behavior: {
          scaleDown: {
            stabilizationWindowSeconds: 300,
            policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
          },
        },
      },
    },
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata,
      // Not `minAvailable`: with one replica it would keep a node from ever being drained.
      spec: { maxUnavailable: 1, selector: { matchLabels } },
    },
  ];
}

function podSpec(service: ServiceName, matchLabels: Readonly<Record<string, string>>): object {
  const { requests, memoryLimit } = SHAPES[service];
  const image = `statebridge/${service}:${TAG}`;
  const restricted = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  };
  return {
    automountServiceAccountToken: false,
    // Variables named after other Services are no settings of ours.
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 10001,
      runAsGroup: 10001,
      fsGroup: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // The pause before the signal, 9 s for the stop itself, and room.
    terminationGracePeriodSeconds: 30,
    topologySpreadConstraints: ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'].map(
      (topologyKey) => ({
        maxSkew: 1,
        topologyKey,
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels },
      }),
    ),
    containers: [
      {
        name: service,
        image,
        ports: [{ name: 'http', containerPort: PORT }],
        envFrom: [{ configMapRef: { name: 'settings' } }],
        env: secrets(),
        securityContext: restricted,
        resources: { requests, limits: { memory: memoryLimit } },
        startupProbe: { ...probe('/health/live'), periodSeconds: 2, failureThreshold: 60 },
        livenessProbe: { ...probe('/health/live'), periodSeconds: 10, failureThreshold: 3 },
        readinessProbe: { ...probe('/health/ready'), periodSeconds: 5, failureThreshold: 2 },
        // Requests that are on their way when the pod goes find it still serving: who sends them is
        // told later than the pod is.
        lifecycle: { preStop: { sleep: { seconds: 5 } } },
        volumeMounts: [
          { name: 'keys', mountPath: '/keys', readOnly: true },
          { name: 'tmp', mountPath: '/tmp' },
        ],
      },
    ],
    volumes: [
      // Not by `subPath`: so a changed Secret reaches a pod that runs. Its group, which is the
      // pod's own, may read it; the services would refuse a file that others can read.
      { name: 'keys', secret: { secretName: 'keys', optional: true, defaultMode: 0o440 } },
      { name: 'tmp', emptyDir: { sizeLimit: TEMPORARY_FILES[service] ?? '64Mi' } },
    ],
  };
}

/** Settings that are secrets; the operator makes the Secret, and nothing here has a value. */
function secrets(): readonly object[] {
  const from = (key: string, optional: boolean): object => ({
    name: key,
    valueFrom: { secretKeyRef: { name: 'secrets', key, ...(optional ? { optional } : {}) } },
  });
  return [
    from('SBP_JWT_SECRET', false),
    from('SBP_POSTGRES_URL', false),
    from('SBP_LLM_API_KEY', true),
  ];
}

function probe(path: string): object {
  return {
    // By the pod's address, which is no name that a service answers to.
    httpGet: { path, port: 'http', httpHeaders: [{ name: 'Host', value: 'localhost' }] },
    timeoutSeconds: 5,
  };
}

/** As many as hold these bytes. */
function gibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 3)}Gi`;
}

function shape(
  cpu: string,
  memory: string,
  memoryLimit: string,
  least: number,
  most: number,
): Shape {
  return { requests: { cpu, memory }, memoryLimit, replicas: { least, most } };
}
