import type { SurfaceTool } from '#libs/domain';
import type { JsonObject } from '#libs/protocol';
import { isDeeperThan } from '#libs/protocol';
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { checkableSchema } from './checkable-schema.js';

/*
 * Whoever attaches chooses a schema, and may choose the arguments too: so what a check costs is
 * bounded. What is larger is left to the surface to check.
 */

/** Characters of a schema that is checked, as JSON. */
const LONGEST_SCHEMA = 16_384;
/** Values in what is checked of a schema: compiling takes time and code for each. */
const MOST_VALUES = 500;
/** Values in what is checked of a schema, times characters of the arguments. */
const MOST_WORK = 4_000_000;
/** Characters of the schemas that are kept compiled; the code is some 50 times as large. */
const KEPT_LENGTH = 1_000_000;

/** How deep a call's arguments, and a schema, may be nested. */
const DEEPEST = 100;

const OPTIONS = { strict: false, validateFormats: false, logger: false } as const;

/** A check, and how many values the schema has that it was made of. */
interface Check {
  readonly validate: ValidateFunction;
  readonly values: number;
}

/** By their schemas; null of what is not checked. */
const compiled = new Map<string, Check | null>();
let keptLength = 0;

/** Why a tool cannot be called with these arguments; null where it can. */
export function argumentProblem({ inputSchema }: SurfaceTool, input: JsonObject): string | null {
  if (isDeeperThan(input, DEEPEST)) {
    return `The arguments are nested in more than ${DEEPEST} levels.`;
  }
  const problem = inputSchema === null ? null : misfit(inputSchema, input);
  return problem === null ? null : `The arguments do not fit the tool's schema: ${problem}.`;
}

/**
 * The schema of a tool's arguments as others are told it: an open object where the surface gives
 * none, or what is no JSON Schema.
 */
export function toldSchema({ inputSchema }: SurfaceTool): JsonObject {
  const isTold = inputSchema !== null && isSchema(ofObject(inputSchema));
  return isTold ? ofObject(inputSchema) : { type: 'object' };
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
  if (isDeeperThan(schema, DEEPEST)) return null;
  const text = JSON.stringify(schema);
  if (text.length > LONGEST_SCHEMA) return null;
  const check = compiled.has(text) ? (compiled.get(text) ?? null) : compile(schema);
  keep(text, check);
  if (check === null || check.values * JSON.stringify(input).length > MOST_WORK) return null;
  if (check.validate(input)) return null;
  const [error] = check.validate.errors ?? [];
  return `${error?.instancePath === '' ? 'arguments' : (error?.instancePath ?? '')} ${error?.message ?? 'do not fit'}`;
}

/** Keeps a check as the last one used, and lets go of those that were used the longest ago. */
function keep(text: string, check: Check | null): void {
  if (compiled.delete(text)) keptLength -= text.length;
  compiled.set(text, check);
  keptLength += text.length;
  for (const oldest of compiled.keys()) {
    if (keptLength <= KEPT_LENGTH) return;
    compiled.delete(oldest);
    keptLength -= oldest.length;
  }
}

function compile(schema: JsonObject): Check | null {
  if (!isSchema(ofObject(schema))) return null;
  const checked = checkableSchema(ofObject(schema));
  const values = valuesIn(checked);
  if (values > MOST_VALUES) return null;
  try {
    // One instance for each, because an instance keeps what it has compiled.
    const compiler = new Ajv2020({ ...OPTIONS, meta: false, validateSchema: false });
    return { validate: compiler.compile(checked), values };
  } catch {
    return null;
  }
}

const metaschema = new Ajv2020(OPTIONS);

/** Whether a schema is one of JSON Schema 2020-12, whatever draft it says that it is of. */
function isSchema(schema: JsonObject): boolean {
  if (isDeeperThan(schema, DEEPEST)) return false;
  const { $schema: dialect = '', ...rest } = schema;
  return typeof dialect === 'string' && metaschema.validateSchema(rest) === true;
}

/** Arguments are an object, whether or not the surface says so. */
function ofObject(schema: JsonObject): JsonObject {
  return { ...schema, type: 'object' };
}

/** Scalars, lists and objects. */
function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, each) => sum + valuesIn(each), 1);
}
