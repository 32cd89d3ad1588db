import * as apps from 'kubernetes-models/apps/v1';
import * as autoscaling from 'kubernetes-models/autoscaling/v2';
import * as batch from 'kubernetes-models/batch/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import type { Fields } from './documents.js';

interface Model {
  readonly apiVersion: string;
  readonly kind: string;
  readonly prototype: { validate(this: object): void };
}

const MODELS: readonly Model[] = [
  apps.Deployment,
  apps.StatefulSet,
  autoscaling.HorizontalPodAutoscaler,
  batch.Job,
  core.ConfigMap,
  core.Namespace,
  core.Service,
  networking.Ingress,
  networking.NetworkPolicy,
  policy.PodDisruptionBudget,
];

/**
 * What Kubernetes' own API would refuse about an object, or drop as unknown; empty where nothing.
 */
export function problemsOf(object: Fields): readonly string[] {
  const { apiVersion, kind } = object;
  const model = MODELS.find((each) => each.apiVersion === apiVersion && each.kind === kind);
  if (model === undefined) return [`no model of ${String(apiVersion)} ${String(kind)}`];
  const read = new Set<string>();
  const problems: string[] = [];
  try {
    model.prototype.validate.call(watched(object, read, ''));
  } catch (error) {
    problems.push((error as Error).message);
  }
  // The models let unknown fields pass. But they read each field that they know.
  const unknown = pathsOf(object, '').filter((path) => !read.has(path));
  return [...problems, ...unknown.map((path) => `${path} is unknown`)];
}

function watched<T extends object>(value: T, read: Set<string>, path: string): T {
  return new Proxy(value, {
    get: (target, name, receiver) => {
      const inner: unknown = Reflect.get(target, name, receiver);
      if (typeof name !== 'string' || !Object.hasOwn(target, name)) return inner;
      read.add(`${path}/${name}`);
      return typeof inner === 'object' && inner !== null
        ? watched(inner, read, `${path}/${name}`)
        : inner;
    },
  });
}

function pathsOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    `${path}/${name}`,
    ...pathsOf(inner, `${path}/${name}`),
  ]);
}
