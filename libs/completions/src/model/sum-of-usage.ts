import type { Usage } from '#libs/protocol';

/** Two usages as one: every number is a sum, also those in objects. Null where one is not known. */
export function sumOfUsage(one: Usage | null, other: Usage | null): Usage | null {
  return one === null || other === null ? null : (sum(one, other) as Usage);
}

function sum(one: unknown, other: unknown): unknown {
  if (typeof one === 'number' && typeof other === 'number') return one + other;
  if (!isObject(one) || !isObject(other)) return other ?? one;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, sum(one[name], other[name])]));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
