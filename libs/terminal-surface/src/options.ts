import { parseArgs } from 'node:util';
import { DEVICE_TYPES, isUuid } from '#libs/protocol';

/** The tools that need no flag of their own, in the order in which they are documented. */
const TOOL_NAMES = ['camera', 'gps', 'notify', 'prompt'] as const;
type ToolName = (typeof TOOL_NAMES)[number];

/** In degrees. */
export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

/** What the person asked for who started the surface. */
export interface SurfaceOptions {
  /** Of the server, without a slash at its end. */
  readonly url: string;
  /** Null: a session is opened. */
  readonly session: { readonly id: string; readonly token: string } | null;
  /** Of a principal, for a server that requires one; null for none. */
  readonly apiKey: string | null;
  /** A message to begin with. */
  readonly ask: string | null;
  /** The model that messages ask for. */
  readonly model: string;
  readonly deviceType: string;
  /** To be offered if the person permits it. */
  readonly tools: readonly ToolName[];
  /** Offers commands too, each of which the person confirms. */
  readonly shell: boolean;
  /** The person permitted the tools on the command line. */
  readonly permitted: boolean;
  /** Prints frames instead of text. */
  readonly json: boolean;
  /** Where `gps` says that the device is. */
  readonly place: Place;
}

/** Options that cannot be used; the message has one line for each. */
export class InvalidOptions extends Error {
  override readonly name = 'InvalidOptions';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const FLAGS = {
  url: { type: 'string' },
  session: { type: 'string' },
  token: { type: 'string' },
  ask: { type: 'string' },
  model: { type: 'string' },
  'device-type': { type: 'string' },
  tools: { type: 'string' },
  place: { type: 'string' },
  shell: { type: 'boolean' },
  yes: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

const DEFAULT_URL = 'http://localhost:8080';
const DEFAULT_MODEL = 'gpt-4o';
const DEFAULT_PLACE: Place = { latitude: 35.6586, longitude: 139.7454 };

/** `argv`: what follows the command. Throws `InvalidOptions`. */
export function parseSurfaceOptions(
  environment: Environment,
  argv: readonly string[],
): SurfaceOptions {
  const problems: string[] = [];
  const flags = readFlags(argv);
  const session = readSession(
    present(flags.session) ?? present(environment['SBP_SESSION_ID']),
    present(flags.token) ?? present(environment['SBP_SESSION_TOKEN']),
    problems,
  );
  const options: SurfaceOptions = {
    url: readUrl(present(flags.url) ?? present(environment['SBP_URL']) ?? DEFAULT_URL, problems),
    session,
    apiKey: present(environment['SBP_API_KEY']) ?? null,
    ask: present(flags.ask) ?? null,
    model: present(flags.model) ?? DEFAULT_MODEL,
    deviceType: readDeviceType(flags['device-type'] ?? 'desktop', problems),
    tools: readTools(flags.tools, problems),
    shell: flags.shell === true,
    permitted: flags.yes === true,
    json: flags.json === true,
    place: flags.place === undefined ? DEFAULT_PLACE : readPlace(flags.place, problems),
  };
  if (problems.length > 0) throw new InvalidOptions(problems);
  return options;
}

function readFlags(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS, allowPositionals: false }).values;
  } catch (error) {
    throw new InvalidOptions([error instanceof Error ? error.message : String(error)]);
  }
}

function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function readUrl(text: string, problems: string[]): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    problems.push('--url: must be the http or https address of a server');
  return text.replace(/\/+$/, '');
}

function readSession(
  id: string | undefined,
  token: string | undefined,
  problems: string[],
): SurfaceOptions['session'] {
  if (id === undefined && token === undefined) return null;
  if (id === undefined) problems.push('--session: is needed with a token');
  else if (!isUuid(id)) problems.push('--session: is not a UUID');
  if (token === undefined) problems.push('--token: is needed with a session');
  return { id: id?.toLowerCase() ?? '', token: token ?? '' };
}

function readDeviceType(text: string, problems: string[]): string {
  if (!DEVICE_TYPES.some((type) => type === text))
    problems.push(`--device-type: must be one of ${DEVICE_TYPES.join(', ')}`);
  return text;
}

function readTools(text: string | undefined, problems: string[]): readonly ToolName[] {
  if (text === undefined) return TOOL_NAMES;
  if (text === 'none') return [];
  const written = text.split(',').map((name) => name.trim());
  const unknown = written.filter((name) => !TOOL_NAMES.some((known) => known === name));
  if (unknown.length > 0)
    problems.push(`--tools: must be none, or some of ${TOOL_NAMES.join(',')}; shell has --shell`);
  return TOOL_NAMES.filter((name) => written.includes(name));
}

function readPlace(text: string, problems: string[]): Place {
  const [latitude = NaN, longitude = NaN, ...rest] = text
    .split(',')
    .map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (!(Math.abs(latitude) <= 90) || !(Math.abs(longitude) <= 180) || rest.length > 0)
    problems.push('--place: must be LATITUDE,LONGITUDE in degrees, such as 35.66,139.75');
  return { latitude, longitude };
}
