import path from 'node:path';
import { DEMO_SETTINGS, InvalidSetting } from '#libs/llm';
import type { DemoOptions, Price } from '#libs/llm';
import type { LogLevel } from '#libs/telemetry';
import type { AuthSettings } from '#libs/auth';
import { isLoopbackHost, openHostProblem, readAuth } from './auth-settings.js';
import { parseFlags } from './command-line.js';
import { SettingsSchema } from './settings-schema.js';
import type { SettingName, SettingsValues } from './settings-schema.js';
import type { Environment, WrittenSettings } from './written-settings.js';
import { writtenSettings } from './written-settings.js';

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
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly auth: AuthSettings;
  /** Names of this machine besides loopback ones, in lower case, where access is open. */
  readonly allowedHosts: readonly string[];
  /** IP addresses and networks whose `X-Forwarded-For` is believed, besides this machine's. */
  readonly trustedProxies: readonly string[];
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
  /** After how long a session that somebody suspended by its status fails, in ms; null: never. */
  readonly suspendedTimeoutMs: number | null;
  /** Whether requests without an `sbp` object are tracked too. */
  readonly track: 'opt-in' | 'always';
  /** Whether a request that names no session goes to its agent's live one. */
  readonly implicitSession: boolean;
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
  /** Where traces are sent; null: there are none. */
  readonly traces: TraceSettings | null;
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

interface TraceSettings {
  /** Of a collector of OTLP over HTTP, without `/v1/traces`. */
  readonly url: string;
  /** Of 100 traces that begin here, how many are kept. */
  readonly percent: number;
}

/** What one process carries before it turns requests away. */
interface LimitSettings {
  /** Of one session's conversation, in bytes of its JSON. */
  readonly sessionBytes: number;
  /** Turns at once. */
  readonly turns: number;
  /** Bytes that the turns at once may hold: requests and conversations. */
  readonly turnBytes: number;
  /** Requests at once. */
  readonly requests: number;
  /** Requests, and turns, of one principal at once, where credentials are required. */
  readonly principalRequests: number;
  readonly principalTurns: number;
  /** Surfaces' sockets at once. */
  readonly sockets: number;
  /** Of one session, those that have not attached among them. */
  readonly sessionSockets: number;
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

const DEMO_MODEL_FLAGS = {
  port: 'value',
  host: 'value',
  ttft: 'value',
  tokens: 'value',
  interval: 'value',
  vary: 'switch',
  fail: 'value',
} as const;

/**
 * Settings of a server or service: flags before environment variables before defaults. `argv`: what
 * follows the command. Throws `InvalidSettings`.
 */
export function parseSettings(environment: Environment, argv: readonly string[] = []): Settings {
  const problems: string[] = [];
  const written = tryParse(problems, () => writtenSettings(environment, argv)) ?? new Map();
  const values = readSchema(problems, written);
  const backend = readBackend(problems, written, values);
  const auth = values === undefined ? undefined : readAuth(problems, values);
  if (problems.length > 0 || values === undefined || auth === undefined || backend === undefined) {
    throw new InvalidSettings(problems);
  }
  return {
    backend,
    dataDir: values.SBP_DATA_DIR,
    host: values.SBP_HOST,
    port: values.SBP_PORT,
    auth,
    allowedHosts: values.SBP_ALLOWED_HOSTS.map((host) => host.toLowerCase()),
    trustedProxies: values.SBP_TRUSTED_PROXIES,
    jwtSecret: values.SBP_JWT_SECRET ?? null,
    llm: readLlm(values),
    demo: demoOf(values),
    prices: values.SBP_PRICES,
    contextTokens: values.SBP_CONTEXT_TOKENS,
    maxTokensField: values.SBP_MAX_TOKENS_FIELD,
    imageModels: values.SBP_IMAGE_MODELS,
    maxToolRounds: values.SBP_MAX_TOOL_ROUNDS,
    suspendedTimeoutMs:
      values.SBP_SUSPENDED_TIMEOUT_S === 0 ? null : 1_000 * values.SBP_SUSPENDED_TIMEOUT_S,
    track: values.SBP_TRACK,
    implicitSession: isImplicit(values, auth),
    allowedOrigins: values.SBP_ALLOWED_ORIGINS.map((origin) => origin.toLowerCase()),
    publicUrl: values.SBP_PUBLIC_URL ?? null,
    trustedIssuers: values.SBP_TRUSTED_ISSUERS,
    issuerNetworks: values.SBP_ISSUER_NETWORKS,
    keyFile: values.SBP_KEY_FILE ?? path.join(values.SBP_DATA_DIR, 'keys.json'),
    logLevel: values.SBP_LOG_LEVEL,
    traces: readTraces(values),
    limits: {
      sessionBytes: values.SBP_SESSION_MAX_BYTES,
      turns: values.SBP_MAX_TURNS,
      turnBytes: values.SBP_MAX_TURN_BYTES,
      requests: values.SBP_MAX_REQUESTS,
      principalRequests: values.SBP_MAX_PRINCIPAL_REQUESTS,
      principalTurns: values.SBP_MAX_PRINCIPAL_TURNS,
      sockets: values.SBP_MAX_SOCKETS,
      sessionSockets: values.SBP_MAX_SESSION_SOCKETS,
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
  const flags = tryParse(problems, () => parseFlags(argv, DEMO_MODEL_FLAGS)) ?? {};
  const { port, host } = flags;
  const address = Object.entries({ port, host }).flatMap(([flag, text]) =>
    text === undefined ? [] : [`--${flag}`, text],
  );
  const written = new Map(writtenSettings(environment, address));
  for (const [flag, name] of Object.entries(DEMO_SETTINGS)) {
    const text = flags[flag];
    if (text !== undefined) written.set(name, { text, source: `--${flag}` });
  }
  const values = readSchema(problems, written);
  const hostProblem = values === undefined ? null : openHostProblem(values);
  if (hostProblem !== null) problems.push(hostProblem);
  if (problems.length > 0 || values === undefined) throw new InvalidSettings(problems);
  const { SBP_HOST, SBP_PORT, SBP_LOG_LEVEL } = values;
  return { host: SBP_HOST, port: SBP_PORT, demo: demoOf(values), logLevel: SBP_LOG_LEVEL };
}

function demoOf(values: SettingsValues): DemoOptions {
  return {
    ttftMs: values.SBP_DEMO_TTFT_MS,
    tokens: values.SBP_DEMO_TOKENS,
    intervalMs: values.SBP_DEMO_INTERVAL_MS,
    vary: values.SBP_DEMO_VARY,
    fail: values.SBP_DEMO_FAIL,
  };
}

function textsOf(written: WrittenSettings): Environment {
  return Object.fromEntries([...written].map(([name, { text }]) => [name, text]));
}

function readSchema(problems: string[], written: WrittenSettings): SettingsValues | undefined {
  const parsed = SettingsSchema.safeParse(textsOf(written));
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    const name = String(issue.path[0] ?? '') as SettingName;
    const within = issue.code === 'custom' ? String(issue.params?.['within'] ?? '') : '';
    problems.push(`${written.get(name)?.source ?? name}${within}: ${issue.message}`);
  }
  return undefined;
}

/** `auto`: where it is known who asks, or only this machine can. */
function isImplicit(
  { SBP_IMPLICIT_SESSION: implicit, SBP_HOST: host }: SettingsValues,
  auth: AuthSettings,
): boolean {
  if (implicit !== 'auto') return implicit === 'on';
  return auth.type === 'required' || isLoopbackHost(host);
}

function readLlm(values: SettingsValues): LlmSettings | null {
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

function readTraces(values: SettingsValues): TraceSettings | null {
  const { SBP_OTLP_URL: url, SBP_TRACE_PERCENT: percent } = values;
  return url === undefined ? null : { url, percent };
}

/**
 * `values` is undefined where a setting is wrong by itself; what is wrong between settings is then
 * still told, from what was written, so that one start names everything.
 */
function readBackend(
  problems: string[],
  written: WrittenSettings,
  values: SettingsValues | undefined,
): BackendSettings | undefined {
  if (written.get('SBP_BACKEND')?.text === 'kafka') tellMissing(problems, written);
  if (values === undefined) return undefined;
  if (values.SBP_BACKEND === 'embedded') return { type: 'embedded' };
  const { SBP_KAFKA_BROKERS: brokers, SBP_POSTGRES_URL: postgresUrl } = values;
  const { SBP_KAFKA_MIN_ISR: minIsr, SBP_KAFKA_REPLICATION: replication } = values;
  if (brokers === undefined || postgresUrl === undefined) return undefined;
  const { SBP_KAFKA_TOPIC_PREFIX: topicPrefix, SBP_KAFKA_PARTITIONS: partitions } = values;
  return { type: 'kafka', brokers, topicPrefix, partitions, replication, minIsr, postgresUrl };
}

function tellMissing(problems: string[], written: WrittenSettings): void {
  if (!written.has('SBP_KAFKA_BROKERS'))
    problems.push('SBP_KAFKA_BROKERS: must be set for SBP_BACKEND=kafka, such as 127.0.0.1:9092');
  if (!written.has('SBP_POSTGRES_URL')) {
    problems.push(
      'SBP_POSTGRES_URL: must be set for SBP_BACKEND=kafka, such as postgres://user:password@127.0.0.1:5432/sbp',
    );
  }
  const replication = Number(written.get('SBP_KAFKA_REPLICATION')?.text ?? 1);
  if (Number(written.get('SBP_KAFKA_MIN_ISR')?.text ?? 1) > replication) {
    problems.push(
      `SBP_KAFKA_MIN_ISR: must not be above SBP_KAFKA_REPLICATION, which is ${replication}`,
    );
  }
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
