import path from 'node:path';
import { readFileSync } from 'node:fs';
import { InvalidSetting, parseContextTokens, parseDemoOptions, parsePrices } from '#libs/llm';
import type { DemoOptions, Price } from '#libs/llm';
import type { LogLevel } from '#libs/telemetry';
import type { z } from 'zod';
import { parseFlags } from './command-line.js';
import type { WrittenFlags } from './command-line.js';
import { SettingsSchema } from './settings-schema.js';
import type { SettingName } from './settings-schema.js';

/** Where the log, claims and read models are. */
export type BackendSettings =
  | { readonly type: 'embedded' }
  | {
      readonly type: 'kafka';
      readonly brokers: readonly string[];
      /** Before the names of all topics: `<prefix>.turns`. */
      readonly topicPrefix: string;
      readonly partitions: number;
      readonly replication: number;
      readonly minIsr: number;
      readonly postgresUrl: string;
    };

/** All that an operator can set, checked. */
export interface Settings {
  readonly backend: BackendSettings;
  /** Holds the embedded store and the secret; may be relative to the working directory. */
  readonly dataDir: string;
  /** A loopback address: access is open. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Null: the one kept in the data directory. */
  readonly jwtSecret: string | null;
  /**
   * The OpenAI-compatible API to call; null: the built-in demo model. `baseUrl` has no slash at its
   * end.
   */
  readonly llm: LlmSettings | null;
  readonly demo: DemoOptions;
  readonly prices: ReadonlyMap<string, Price>;
  /** By model, the most tokens of prompt that it is sent; `*` for the others. */
  readonly contextTokens: ReadonlyMap<string, number>;
  /** By which field of a request a model is told the surface's limit of tokens. */
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  /** Names of models that take images; `*` stands for anything. */
  readonly imageModels: readonly string[];
  /** How often the model of one turn may call tools of the surface. */
  readonly maxToolRounds: number;
  /** Whether requests without an `sbp` object are tracked too. */
  readonly track: 'opt-in' | 'always';
  readonly implicitSession: 'auto' | 'on' | 'off';
  /** Origins of web pages, besides loopback ones, in lower case. */
  readonly allowedOrigins: readonly string[];
  /**
   * How other servers reach this one; null: by the address it listens on. Without a slash at its
   * end.
   */
  readonly publicUrl: string | null;
  /** Public URLs of the servers that exports are imported from. */
  readonly trustedIssuers: readonly string[];
  /** Where their names may lead. */
  readonly issuerNetworks: 'public' | 'any';
  /** The file of this server's key pairs; there need not be one. */
  readonly keyFile: string;
  readonly logLevel: LogLevel;
  readonly limits: LimitSettings;
}

interface LlmSettings {
  readonly baseUrl: string;
  readonly apiKey: string | null;
  readonly connectTimeoutMs: number;
  /** Until an answer begins. */
  readonly headersTimeoutMs: number;
  /** Of silence within an answer. */
  readonly bodyIdleTimeoutMs: number;
}

/** What one process carries before it turns requests away. */
interface LimitSettings {
  /** Of one session's conversation, in bytes of its JSON. */
  readonly sessionBytes: number;
  /** Turns at once. */
  readonly turns: number;
  /** Bytes that the turns at once may hold: requests and conversations. */
  readonly turnBytes: number;
}

/** What the demo model needs when it is served alone. */
export type DemoModelSettings = Pick<Settings, 'host' | 'port' | 'demo' | 'logLevel'>;

/** Settings that cannot be used, all of them; the message has one line for each. */
export class InvalidSettings extends Error {
  override readonly name = 'InvalidSettings';

  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const ADDRESS_FLAGS = { port: 'value', host: 'value' } as const;
const SERVER_FLAGS = { ...ADDRESS_FLAGS, 'data-dir': 'value' } as const;
const DEMO_FLAGS = {
  ttft: 'value',
  tokens: 'value',
  interval: 'value',
  vary: 'switch',
  fail: 'value',
} as const;

/** The variables that a flag overrides. */
const VARIABLE_OF_FLAG: Readonly<Record<string, SettingName>> = {
  port: 'SBP_PORT',
  host: 'SBP_HOST',
  'data-dir': 'SBP_DATA_DIR',
};

/**
 * Settings of a server or service: flags (`--port`, `--host`, `--data-dir`) before environment
 * variables before defaults. `argv`: what follows the command. Throws `InvalidSettings`.
 */
export function parseSettings(environment: Environment, argv: readonly string[] = []): Settings {
  const problems: string[] = [];
  const flags = tryParse(problems, () => parseFlags(argv, SERVER_FLAGS)) ?? {};
  const written = writtenValues(environment, flags);
  const values = readSchema(problems, written, flags);
  const backend = readBackend(problems, written, values);
  const demo = tryParse(problems, () => parseDemoOptions(environment));
  const prices = tryParse(problems, () =>
    readTable(environment, 'SBP_PRICES', 'JSON, which begins with {', parsePrices),
  );
  const contextTokens = tryParse(problems, () =>
    readTable(
      environment,
      'SBP_CONTEXT_TOKENS',
      'a number, as in 32000, JSON, which begins with {',
      parseContextTokens,
    ),
  );
  if (
    problems.length > 0 ||
    values === undefined ||
    demo === undefined ||
    prices === undefined ||
    contextTokens === undefined ||
    backend === undefined
  ) {
    throw new InvalidSettings(problems);
  }
  return {
    backend,
    dataDir: values.SBP_DATA_DIR,
    host: values.SBP_HOST,
    port: values.SBP_PORT,
    jwtSecret: values.SBP_JWT_SECRET ?? null,
    llm: readLlm(values),
    demo,
    prices,
    contextTokens,
    maxTokensField: values.SBP_MAX_TOKENS_FIELD,
    imageModels: values.SBP_IMAGE_MODELS,
    maxToolRounds: values.SBP_MAX_TOOL_ROUNDS,
    track: values.SBP_TRACK,
    implicitSession: values.SBP_IMPLICIT_SESSION,
    allowedOrigins: values.SBP_ALLOWED_ORIGINS.map((origin) => origin.toLowerCase()),
    publicUrl: values.SBP_PUBLIC_URL ?? null,
    trustedIssuers: values.SBP_TRUSTED_ISSUERS,
    issuerNetworks: values.SBP_ISSUER_NETWORKS,
    keyFile: values.SBP_KEY_FILE ?? path.join(values.SBP_DATA_DIR, 'keys.json'),
    logLevel: values.SBP_LOG_LEVEL,
    limits: {
      sessionBytes: values.SBP_SESSION_MAX_BYTES,
      turns: values.SBP_MAX_TURNS,
      turnBytes: values.SBP_MAX_TURN_BYTES,
    },
  };
}

/**
 * Settings of the demo model served alone: `--port`, `--host` and the model's own options. Throws
 * `InvalidSettings`.
 */
export function parseDemoModelSettings(
  environment: Environment,
  argv: readonly string[],
): DemoModelSettings {
  const problems: string[] = [];
  const flags =
    tryParse(problems, () => parseFlags(argv, { ...ADDRESS_FLAGS, ...DEMO_FLAGS })) ?? {};
  const values = readSchema(problems, writtenValues(environment, flags), flags);
  const demo = tryParse(problems, () => parseDemoOptions(environment, flags));
  if (problems.length > 0 || values === undefined || demo === undefined)
    throw new InvalidSettings(problems);
  return { host: values.SBP_HOST, port: values.SBP_PORT, demo, logLevel: values.SBP_LOG_LEVEL };
}

type Values = z.infer<typeof SettingsSchema>;
type Written = Partial<Record<SettingName, string | undefined>>;

/** Every setting as somebody wrote it, a flag before its variable; undefined where nobody did. */
function writtenValues(environment: Environment, flags: WrittenFlags): Written {
  const written: Written = {};
  for (const variable of Object.keys(SettingsSchema.shape) as SettingName[])
    written[variable] = present(environment[variable]);
  for (const [flag, variable] of Object.entries(VARIABLE_OF_FLAG)) {
    if (flags[flag] !== undefined) written[variable] = flags[flag];
  }
  return written;
}

function readSchema(problems: string[], written: Written, flags: WrittenFlags): Values | undefined {
  const parsed = SettingsSchema.safeParse(written);
  if (parsed.success) return parsed.data;
  const names = new Map<PropertyKey, string>(
    Object.entries(VARIABLE_OF_FLAG)
      .filter(([flag]) => flags[flag] !== undefined)
      .map(([flag, variable]) => [variable, `--${flag}`]),
  );
  for (const issue of parsed.error.issues) {
    const variable = issue.path[0] ?? '';
    problems.push(`${names.get(variable) ?? String(variable)}: ${issue.message}`);
  }
  return undefined;
}

function readLlm(values: Values): LlmSettings | null {
  const { SBP_LLM_BASE_URL: baseUrl, SBP_LLM_API_KEY: apiKey = null } = values;
  if (baseUrl === undefined) return null;
  return {
    baseUrl,
    apiKey,
    connectTimeoutMs: values.SBP_LLM_CONNECT_TIMEOUT_MS,
    headersTimeoutMs: values.SBP_LLM_HEADERS_TIMEOUT_MS,
    bodyIdleTimeoutMs: values.SBP_LLM_IDLE_TIMEOUT_MS,
  };
}

/**
 * `values` is undefined where a setting is wrong by itself; what is wrong between settings is then
 * still told, from what was written, so that one start names everything.
 */
function readBackend(
  problems: string[],
  written: Written,
  values: Values | undefined,
): BackendSettings | undefined {
  if (written.SBP_BACKEND === 'kafka') tellMissing(problems, written);
  if (values === undefined) return undefined;
  if (values.SBP_BACKEND === 'embedded') return { type: 'embedded' };
  const { SBP_KAFKA_BROKERS: brokers, SBP_POSTGRES_URL: postgresUrl } = values;
  const { SBP_KAFKA_MIN_ISR: minIsr, SBP_KAFKA_REPLICATION: replication } = values;
  if (brokers === undefined || postgresUrl === undefined) return undefined;
  const { SBP_KAFKA_TOPIC_PREFIX: topicPrefix, SBP_KAFKA_PARTITIONS: partitions } = values;
  return { type: 'kafka', brokers, topicPrefix, partitions, replication, minIsr, postgresUrl };
}

function tellMissing(problems: string[], written: Written): void {
  if (written.SBP_KAFKA_BROKERS === undefined)
    problems.push('SBP_KAFKA_BROKERS: must be set for SBP_BACKEND=kafka, such as 127.0.0.1:9092');
  if (written.SBP_POSTGRES_URL === undefined) {
    problems.push(
      'SBP_POSTGRES_URL: must be set for SBP_BACKEND=kafka, such as postgres://user:password@127.0.0.1:5432/sbp',
    );
  }
  const replication = Number(written.SBP_KAFKA_REPLICATION ?? 1);
  if (Number(written.SBP_KAFKA_MIN_ISR ?? 1) > replication) {
    problems.push(
      `SBP_KAFKA_MIN_ISR: must not be above SBP_KAFKA_REPLICATION, which is ${replication}`,
    );
  }
}

/** JSON of an object, or a number: else it is a path. */
const IN_PLACE = /^\{|^-?[\d.]+(e[+-]?\d+)?$/i;

/** A table of models as it is, or the file that holds it. */
function readTable<T>(
  environment: Environment,
  setting: string,
  forms: string,
  parse: (text: string) => ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const given = present(environment[setting]);
  if (given === undefined || IN_PLACE.test(given)) return parse(given ?? '{}');
  try {
    return parse(readFileSync(given, 'utf8'));
  } catch (error) {
    if (error instanceof InvalidSetting) throw error;
    const problem = `is neither ${forms}, nor a file that can be read`;
    throw new InvalidSetting(setting, `${problem}: ${(error as Error).message}`);
  }
}

function present(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

function tryParse<T>(problems: string[], parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidSetting)) throw error;
    problems.push(error.message);
    return undefined;
  }
}
