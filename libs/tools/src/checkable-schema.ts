import type { JsonObject } from '#libs/protocol';

/**
 * Keywords that are the surface's own to check, and those that say nothing true without them: what
 * a pattern, a reference or a comparison of all items costs has no bound, and whoever attaches
 * chooses them.
 */
const UNCHECKED = new Set([
  'pattern',
  'patternProperties',
  'format',
  'uniqueItems',
  '$ref',
  '$dynamicRef',
  '$recursiveRef',
  'unevaluatedProperties',
  'unevaluatedItems',
]);

/** Keywords that ask nothing of arguments where no reference is followed. */
const SILENT = new Set([
  ...['$schema', '$id', 'id', '$anchor', '$dynamicAnchor', '$recursiveAnchor', '$vocabulary'],
  ...['$defs', 'definitions', '$comment', 'title', 'description', 'default', 'examples'],
]);

/** Keywords that would refuse what fits, where the schemas in them accept more than they say. */
const EXACT = new Set(['not', 'oneOf', 'if', 'contains']);

/** Keywords whose fields are names that a schema's author chose, each with a schema. */
const NAMED = new Set(['properties', 'dependentSchemas', 'dependencies']);

/** Keywords that hold values, and no schemas. */
const VALUES = new Set(['enum', 'const', 'required', 'dependentRequired']);

interface Checkable {
  readonly schema: unknown;
  /** Whether it accepts more than the schema that it was made of. */
  readonly isWeaker: boolean;
}

/**
 * What can be checked of a schema at a bounded cost: it accepts everything that the schema accepts,
 * and may accept more.
 */
export function checkableSchema(schema: JsonObject): JsonObject {
  return checkable(schema).schema as JsonObject;
}

function checkable(schema: unknown): Checkable {
  if (Array.isArray(schema)) {
    const each = schema.map(checkable);
    return { schema: each.map((one) => one.schema), isWeaker: each.some((one) => one.isWeaker) };
  }
  if (!isObject(schema)) return { schema, isWeaker: false };
  const isOpen = 'patternProperties' in schema;
  const kept: [string, unknown][] = [];
  let isWeaker = false;
  for (const [name, value] of Object.entries(schema)) {
    if (SILENT.has(name)) continue;
    const isUnchecked = UNCHECKED.has(name) || (isOpen && name === 'additionalProperties');
    const inner = isUnchecked ? { schema: value, isWeaker: true } : checkableValue(name, value);
    isWeaker ||= inner.isWeaker;
    if (!isUnchecked && !(inner.isWeaker && EXACT.has(name))) kept.push([name, inner.schema]);
  }
  return { schema: Object.fromEntries(kept), isWeaker };
}

function checkableValue(keyword: string, value: unknown): Checkable {
  if (VALUES.has(keyword)) return { schema: value, isWeaker: false };
  if (!NAMED.has(keyword) || !isObject(value)) return checkable(value);
  const each = Object.entries(value).map(([name, schema]) => [name, checkable(schema)] as const);
  return {
    schema: Object.fromEntries(each.map(([name, { schema }]) => [name, schema])),
    isWeaker: each.some(([, { isWeaker }]) => isWeaker),
  };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
