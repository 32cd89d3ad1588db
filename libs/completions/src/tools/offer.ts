import type { SurfaceTool } from '#libs/domain';
import { SURFACE_PREFIX } from '#libs/domain';
import type { JsonObject } from '#libs/protocol';
import type { ToolSurface } from '#libs/tools';
import { toldSchema } from '#libs/tools';

/** What a model is offered in one round of a turn. */
export interface Offer {
  /** By the names of their functions. */
  readonly tools: ReadonlyMap<string, SurfaceTool>;
  /** The request's options, with the tools of the surface beside the client's own. */
  readonly options: JsonObject;
  /** Whether a function is the surface's, offered or not; else it is the client's. */
  isSurfaces(functionName: string): boolean;
}

/** Where a round stands in its turn. */
export interface RoundPlace {
  /** From 1. */
  readonly round: number;
  /** The model may call no tool any more. */
  readonly isLast: boolean;
}

/** A choice that is no word. */
interface ToolChoice {
  readonly allowed_tools?: object;
}

/** The most functions that models take. */
const MOST_FUNCTIONS = 128;

/**
 * Offers the surface's tools beside the client's own, which stay as they are: of two functions with
 * one name the client's is meant. With several choices nothing is offered, because each choice
 * would call its own.
 */
export function offerOf(
  options: JsonObject,
  surface: ToolSurface | null,
  { round, isLast }: RoundPlace,
): Offer {
  const own = Array.isArray(options['tools']) ? (options['tools'] as unknown[]) : [];
  const ownNames = new Set(own.map(nameOf));
  const isSeveral = typeof options['n'] === 'number' && options['n'] > 1;
  const free = (surface?.tools ?? []).filter(({ functionName }) => !ownNames.has(functionName));
  const offered = isSeveral ? [] : free.slice(0, Math.max(0, MOST_FUNCTIONS - own.length));
  const tools = [...own, ...offered.map(functionOf)];
  const choice = round === 1 ? options['tool_choice'] : laterChoice(options['tool_choice']);
  const isChanged = offered.length > 0 || round > 1;
  return {
    tools: new Map(offered.map((tool) => [tool.functionName, tool])),
    options: isChanged
      ? {
          ...options,
          ...(tools.length === 0 ? {} : { tools, tool_choice: isLast ? 'none' : choice }),
        }
      : options,
    isSurfaces: (name) => !isSeveral && name.startsWith(SURFACE_PREFIX) && !ownNames.has(name),
  };
}

function functionOf(tool: SurfaceTool): JsonObject {
  const { functionName, description } = tool;
  const parameters = { properties: {}, ...toldSchema(tool) };
  return {
    type: 'function',
    function: {
      name: functionName,
      ...(description === null ? {} : { description }),
      parameters,
    },
  };
}

/** The name of a tool of the client: of a function, or of a custom tool. */
function nameOf(tool: unknown): string | null {
  const { type, ...kinds } = (tool ?? {}) as Readonly<Record<string, unknown>>;
  const kind = kinds[String(type)];
  const isNamed = typeof kind === 'object' && kind !== null && 'name' in kind;
  return isNamed && typeof kind.name === 'string' ? kind.name : null;
}

/**
 * A choice that forces a call has had it in the first round; in each later one it would force the
 * next, for ever.
 */
function laterChoice(choice: unknown): unknown {
  if (choice === undefined || choice === 'none' || choice === 'auto') return choice;
  const { allowed_tools: allowed, ...rest } = (choice ?? {}) as ToolChoice;
  return allowed === undefined ? 'auto' : { ...rest, allowed_tools: { ...allowed, mode: 'auto' } };
}
