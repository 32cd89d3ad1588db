import type { SurfaceTool } from '#libs/domain';
import type { JsonObject } from '#libs/protocol';
import { isDeeperThan } from '#libs/protocol';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

/**
 * Keywords that are the surface's own to check, and those that say nothing true without them: what
 * a pattern or a reference costs has no bound, and whoever attaches chooses them.
 */
const UNCHECKED = new Set([
  'pattern',
  'patternProperties',
  'format',
  '$ref',
  '$dynamicRef',
  'unevaluatedProperties',
  'unevaluatedItems',
]);

/** Keywords whose fields are names that a schema's author chose, each with a schema. */
const NAMED = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);

/** Keywords that hold values, and no schemas. */
const VALUES = new Set(['enum', 'const', 'default', 'examples', 'required', 'dependentRequired']);

/** Schemas that are kept compiled. */
const KEPT = 1_000;

const compiled = new Map<string, ValidateFunction | null>();

/** How deep a call's arguments may be nested. */
const DEEPEST = 100;

/** Why a tool cannot be called with these arguments; null where it can. */
export function argumentProblem({ inputSchema }: SurfaceTool, input: JsonObject): string | null {
  if (isDeeperThan(input, DEEPEST)) {
    return `The arguments are nested in more than ${DEEPEST} levels.`;
  }
  const problem = inputSchema === null ? null : misfit(inputSchema, input);
  return problem === null ? null : `The arguments do not fit the tool's schema: ${problem}.`;
}

/** What is told of a call of a tool that no attached surface declares. */
export function noSuchTool(name: string): string {
  return `There is no tool ${name}: no attached device has it.`;
}

/**
 * Why arguments do not fit the schema that it was given; null where they do, or where the
 * schema is none that can be checked.
 */
function misfit(schema: JsonObject, input: JsonObject): string | null {
  const text = JSON.stringify(schema);
  const check = compiled.has(text) ? (compiled.get(text) ?? null) : compile(schema);
  compiled.delete(text);
  compiled.set(text, check);
  if (compiled.size > KEPT) compiled.delete(compiled.keys().next().value ?? '');
  if (check === null || check(input)) return null;
  const [error] = check.errors ?? [];
  return `${error?.instancePath === '' ? 'arguments' : (error?.instancePath ?? '')} ${error?.message ?? 'do not fit'}`;
}

function compile(schema: JsonObject): ValidateFunction | null {
  try {
    // One instance for each: two schemas may have one `$id`.
    return new Ajv2020({ strict: false, validateFormats: false, logger: false }).compile(
      checked(schema) as JsonObject,
    );
  } catch {
    return null;
  }
}

function checked(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(checked);
  if (!isObject(schema)) return schema;
  const isOpen = 'patternProperties' in schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([name]) => !UNCHECKED.has(name) && !(isOpen && name === 'additionalProperties'))
      .map(([name, value]) => {
        if (VALUES.has(name)) return [name, value];
        return [name, NAMED.has(name) && isObject(value) ? eachChecked(value) : checked(value)];
      }),
  );
}

function eachChecked(schemas: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, checked(schema)]),
  );
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
