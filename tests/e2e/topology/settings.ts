/** What every topology signs its tokens with, so that tests can forge and age them. */
export const SECRET = 'the-secret-of-the-end-to-end-tests';

/**
 * What the built-in model says unless a message steers it: enough words to reach what it quotes, at
 * once.
 */
const DEMO_WORDS = 30;

/** What a test sets differently, by the names of the variables. */
export type Settings = Readonly<Record<string, string>>;

/** The settings of every topology; what a developer's own environment sets does not count. */
export const SETTINGS = {
  SBP_JWT_SECRET: SECRET,
  SBP_LLM_BASE_URL: '',
  SBP_LLM_API_KEY: '',
  SBP_LLM_CONNECT_TIMEOUT_MS: '',
  SBP_LLM_HEADERS_TIMEOUT_MS: '',
  SBP_LLM_IDLE_TIMEOUT_MS: '',
  SBP_PRICES: '',
  SBP_CONTEXT_TOKENS: '',
  SBP_MAX_TOKENS_FIELD: 'max_tokens',
  SBP_IMAGE_MODELS: 'gpt-4o*,images-*',
  SBP_MAX_TOOL_ROUNDS: '5',
  SBP_TRUSTED_ISSUERS: '',
  SBP_ISSUER_NETWORKS: 'public',
  SBP_KEY_FILE: '',
  SBP_AUTH: '',
  SBP_ALLOWED_HOSTS: '',
  SBP_TRUSTED_PROXIES: '',
  SBP_TRACK: 'opt-in',
  SBP_IMPLICIT_SESSION: 'auto',
  SBP_ALLOWED_ORIGINS: 'https://allowed.example',
  SBP_LOG_LEVEL: 'info',
  SBP_DEMO_TTFT_MS: '0',
  SBP_DEMO_TOKENS: String(DEMO_WORDS),
  SBP_DEMO_INTERVAL_MS: '0',
  SBP_DEMO_VARY: 'false',
  SBP_DEMO_FAIL: 'none',
} as const;
