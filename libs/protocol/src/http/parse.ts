import type { z } from 'zod';
import { SbpError } from '../errors.js';
import { isUuid } from '../json.js';

/**
 * Arrays and objects in one another; deeper ones would break recursive code, such as
 * `JSON.stringify`, further on.
 */
const DEEPEST_NESTING = 500;

/**
 * The JSON body of a request; none means `{}`. Throws `SbpError`: `SBP_INVALID_REQUEST`, which
 * names the first wrong field by its dotted path, or `SBP_INVALID_UUID`.
 */
export function parseJsonBody<S extends z.ZodType>(
  body: Uint8Array | null | undefined,
  schema: S,
): z.output<S> {
  return parseValue(
    body === undefined || body === null || body.length === 0 ? {} : decodeJson(body),
    schema,
  );
}

/** The query of a request, as decoded to strings. Throws as `parseJsonBody`. */
export function parseQuery<S extends z.ZodType>(query: unknown, schema: S): z.output<S> {
  return parseValue(query, schema);
}

/** A part of a request; `path` is where it stands, such as `sbp`. Throws as `parseJsonBody`. */
export function parseValue<S extends z.ZodType>(value: unknown, schema: S, path = ''): z.output<S> {
  const parsed = schema.safeParse(value, {
    error: ({ input }) => (input === undefined ? 'is missing' : undefined),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw new SbpError('SBP_INVALID_REQUEST', 'The request is not valid.');
  const found = deepest(issue);
  const param = [path, ...found.path.map(String)].filter((part) => part !== '').join('.');
  const code = found.isUuid ? 'SBP_INVALID_UUID' : 'SBP_INVALID_REQUEST';
  throw new SbpError(
    code,
    `${param === '' ? 'body' : param}: ${found.message}`,
    param === '' ? {} : { param },
  );
}

/**
 * A UUID from a path or header that is called `name`, in lower case, as ids are stored. Throws
 * `SbpError`: `SBP_INVALID_UUID`.
 */
export function requireUuid(value: string | undefined, name: string): string {
  if (value !== undefined && isUuid(value)) return value.toLowerCase();
  throw new SbpError('SBP_INVALID_UUID', `${name}: is not a UUID`, { param: name });
}

interface Found {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly isUuid: boolean;
}

/**
 * Of a union, the alternative that got furthest: the others are other kinds of value altogether.
 */
function deepest(issue: z.core.$ZodIssue, above: readonly PropertyKey[] = []): Found {
  const path = [...above, ...issue.path];
  const here = {
    path,
    message: issue.message,
    isUuid: issue.code === 'invalid_format' && issue.format === 'guid',
  };
  if (issue.code !== 'invalid_union') return here;
  return issue.errors
    .flatMap(([first]) => (first === undefined ? [] : [deepest(first, path)]))
    .reduce<Found>((best, each) => (each.path.length > best.path.length ? each : best), here);
}

function decodeJson(body: Uint8Array): unknown {
  if (nestsDeeper(body, DEEPEST_NESTING))
    throw notJson(`it nests more than ${DEEPEST_NESTING} levels deep`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (error) {
    throw notJson('it is not UTF-8', error);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw notJson(error instanceof Error ? error.message : String(error), error);
  }
}

function notJson(problem: string, cause?: unknown): SbpError {
  return new SbpError('SBP_INVALID_REQUEST', `body is not JSON: ${problem}`, { cause });
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function nestsDeeper(body: Uint8Array, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < body.length; at += 1) {
    switch (body[at]) {
      case QUOTE:
        at = endOfString(body, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > limit) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
      default:
    }
  }
  return false;
}

/**
 * Where the quote is that ends the string which begins at `start`; the body's end if there is none.
 */
function endOfString(body: Uint8Array, start: number): number {
  for (let end = body.indexOf(QUOTE, start + 1); end !== -1; end = body.indexOf(QUOTE, end + 1)) {
    let escapes = 0;
    while (body[end - 1 - escapes] === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return body.length;
}
