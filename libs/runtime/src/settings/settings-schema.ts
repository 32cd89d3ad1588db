import { isNetwork, secretProblem } from '#libs/auth';
import { DEFAULT_IMAGE_MODELS, DEFAULT_TIMEOUTS } from '#libs/llm';
import { LOG_LEVELS } from '#libs/telemetry';
import { z } from 'zod';
import { contextTokens, demoOption, prices } from './read-setting.js';

const wholeNumber = (least: number, most: number, otherwise: number) => {
  const problem = `must be a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, problem)
    .transform(Number)
    .refine((value) => value >= least && value <= most, problem)
    .default(otherwise);
};

const oneOf = <const T extends readonly [string, ...string[]]>(values: T, otherwise: T[number]) =>
  z.enum(values, `must be one of ${values.join(', ')}`).default(otherwise as never);

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' })
  .transform((url) => url.replace(/\/+$/, ''));

const postgresUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'must be a URL such as postgres://user:password@host:5432/database',
});

const list = (item: RegExp, problem: string) =>
  z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine((parts) => parts.every((part) => item.test(part)), problem);

const secretText = z.string().refine((secret) => secretProblem(secret) === null, {
  error: ({ input }) => secretProblem(String(input)) ?? '',
});

/**
 * Every setting under the name of its environment variable; an unset and an empty one are the same.
 */
export const SettingsSchema = z.object({
  SBP_BACKEND: oneOf(['embedded', 'kafka'], 'embedded'),
  SBP_DATA_DIR: z.string().default('.data'),
  SBP_HOST: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be an IP address or a name, without a port')
    .default('127.0.0.1'),
  SBP_PORT: wholeNumber(0, 65_535, 8080),
  SBP_KAFKA_BROKERS: list(
    /^[^\s:,]+:\d{1,5}$/,
    'must be host:port, several parted by commas',
  ).optional(),
  SBP_POSTGRES_URL: postgresUrl.optional(),
  SBP_KAFKA_TOPIC_PREFIX: z
    .string()
    .regex(/^[a-zA-Z0-9_-]{1,100}$/, 'must be letters, digits, _ and -, at most 100')
    .default('sbp'),
  SBP_KAFKA_PARTITIONS: wholeNumber(1, 10_000, 12),
  SBP_KAFKA_REPLICATION: wholeNumber(1, 99, 1),
  SBP_KAFKA_MIN_ISR: wholeNumber(1, 99, 1),
  SBP_AUTH: z.enum(['required', 'none'], 'must be one of required, none').optional(),
  SBP_API_KEY_FILE: z.string().min(1).optional(),
  SBP_AUTH_JWT_SECRET: secretText.optional(),
  SBP_AUTH_JWKS_URL: httpUrl.optional(),
  SBP_AUTH_JWT_ISSUER: z.string().min(1).max(1_000).optional(),
  SBP_AUTH_JWT_AUDIENCE: z.string().min(1).max(1_000).optional(),
  SBP_ALLOWED_HOSTS: list(
    /^[a-z0-9._:-]{1,253}$/i,
    'must be names or IP addresses without a port, several parted by commas',
  ).default([]),
  SBP_TRUSTED_PROXIES: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine(
      (networks) => networks.every(isNetwork),
      'must be IP addresses or networks such as 10.0.0.0/8, several parted by commas',
    )
    .default([]),
  SBP_JWT_SECRET: secretText.optional(),
  SBP_LLM_BASE_URL: httpUrl.optional(),
  SBP_LLM_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces: it is sent in a header')
    .optional(),
  SBP_LLM_CONNECT_TIMEOUT_MS: wholeNumber(1, 600_000, DEFAULT_TIMEOUTS.connectMs),
  SBP_LLM_HEADERS_TIMEOUT_MS: wholeNumber(1, 86_400_000, DEFAULT_TIMEOUTS.headersMs),
  SBP_LLM_IDLE_TIMEOUT_MS: wholeNumber(1, 86_400_000, DEFAULT_TIMEOUTS.bodyIdleMs),
  SBP_MAX_TOKENS_FIELD: oneOf(['max_tokens', 'max_completion_tokens'], 'max_tokens'),
  SBP_IMAGE_MODELS: list(
    /^[\x21-\x2b\x2d-\x7e]{1,256}$/,
    'must be names of models, in which * stands for anything, several parted by commas',
  ).default([...DEFAULT_IMAGE_MODELS]),
  SBP_MAX_TOOL_ROUNDS: wholeNumber(1, 1_000, 16),
  SBP_TRACK: oneOf(['opt-in', 'always'], 'opt-in'),
  SBP_IMPLICIT_SESSION: oneOf(['auto', 'on', 'off'], 'auto'),
  SBP_ALLOWED_ORIGINS: list(
    /^[a-z][a-z0-9+.-]*:\/\/[^\s/,*]+$/i,
    'must be origins such as https://app.example, without a path and without *, several parted by commas',
  ).default([]),
  SBP_PUBLIC_URL: httpUrl.optional(),
  SBP_TRUSTED_ISSUERS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim().replace(/\/+$/, '')))
    .refine(
      (urls) => urls.every((url) => /^https?:\/\/[^\s/?#@,]+(?:\/[^\s?#,]*)?$/.test(url)),
      'must be public URLs of other servers, such as https://sbp.example.com, several parted by commas',
    )
    .default([]),
  SBP_ISSUER_NETWORKS: oneOf(['public', 'any'], 'public'),
  SBP_KEY_FILE: z.string().min(1).optional(),
  SBP_SESSION_MAX_BYTES: wholeNumber(1_000, 256_000_000, 32_000_000),
  SBP_SUSPENDED_TIMEOUT_S: wholeNumber(0, 315_360_000, 0),
  SBP_MAX_TURNS: wholeNumber(1, 100_000, 1_000),
  SBP_MAX_TURN_BYTES: wholeNumber(1_000_000, 999_999_999, 256_000_000),
  SBP_MAX_REQUESTS: wholeNumber(1, 1_000_000, 10_000),
  SBP_MAX_PRINCIPAL_REQUESTS: wholeNumber(1, 1_000_000, 500),
  SBP_MAX_PRINCIPAL_TURNS: wholeNumber(1, 100_000, 200),
  SBP_MAX_SOCKETS: wholeNumber(1, 1_000_000, 50_000),
  SBP_MAX_SESSION_SOCKETS: wholeNumber(2, 1_000, 16),
  SBP_OTLP_URL: httpUrl.optional(),
  SBP_TRACE_PERCENT: wholeNumber(0, 100, 10),
  SBP_LOG_LEVEL: oneOf(LOG_LEVELS, 'info'),
  SBP_PRICES: prices.default(new Map()),
  SBP_CONTEXT_TOKENS: contextTokens.default(new Map()),
  SBP_DEMO_TTFT_MS: demoOption('ttft', 'ttftMs'),
  SBP_DEMO_TOKENS: demoOption('tokens', 'tokens'),
  SBP_DEMO_INTERVAL_MS: demoOption('interval', 'intervalMs'),
  SBP_DEMO_VARY: demoOption('vary', 'vary'),
  SBP_DEMO_FAIL: demoOption('fail', 'fail'),
});

/** The settings as the schema reads them. */
export type SettingsValues = z.infer<typeof SettingsSchema>;
export type SettingName = keyof SettingsValues;
