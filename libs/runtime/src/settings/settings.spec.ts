import { DEFAULT_DEMO_OPTIONS, DEFAULT_IMAGE_MODELS } from '#libs/llm';
import { describe, expect, it } from 'vitest';
import { InvalidSettings, parseDemoModelSettings, parseSettings } from './settings.js';

const kafka = {
  SBP_BACKEND: 'kafka',
  SBP_KAFKA_BROKERS: '127.0.0.1:9092, kafka-2:9093',
  SBP_POSTGRES_URL: 'postgres://sbp:pa55word@127.0.0.1:5432/sbp',
};

function problems(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof InvalidSettings) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('has a default for everything', () => {
    expect(parseSettings({})).toEqual({
      backend: { type: 'embedded' },
      dataDir: '.data',
      host: '127.0.0.1',
      port: 8080,
      jwtSecret: null,
      llm: null,
      demo: DEFAULT_DEMO_OPTIONS,
      prices: new Map(),
      contextTokens: new Map(),
      maxTokensField: 'max_tokens',
      imageModels: DEFAULT_IMAGE_MODELS,
      maxToolRounds: 16,
      suspendedTimeoutMs: null,
      track: 'opt-in',
      implicitSession: true,
      auth: { type: 'open' },
      allowedHosts: [],
      trustedProxies: [],
      allowedOrigins: [],
      publicUrl: null,
      trustedIssuers: [],
      issuerNetworks: 'public',
      keyFile: '.data/keys.json',
      logLevel: 'info',
      traces: null,
      limits: {
        sessionBytes: 32_000_000,
        turns: 1_000,
        turnBytes: 256_000_000,
        requests: 10_000,
        principalRequests: 500,
        principalTurns: 200,
        sockets: 50_000,
        sessionSockets: 16,
      },
    });
  });

  it('takes an empty variable as unset', () => {
    expect(
      parseSettings({
        SBP_PORT: '',
        SBP_JWT_SECRET: ' ',
        SBP_KAFKA_BROKERS: '',
        SBP_PRICES: '',
      }),
    ).toEqual(parseSettings({}));
  });

  it('reads every variable', () => {
    const settings = parseSettings({
      ...kafka,
      SBP_DATA_DIR: '/var/lib/sbp',
      SBP_HOST: '::1',
      SBP_PORT: '0',
      SBP_KAFKA_TOPIC_PREFIX: 'test-1',
      SBP_KAFKA_PARTITIONS: '6',
      SBP_KAFKA_REPLICATION: '3',
      SBP_KAFKA_MIN_ISR: '2',
      SBP_JWT_SECRET: 'change-me-to-a-256-bit-secret',
      SBP_LLM_BASE_URL: 'https://api.openai.com/v1/',
      SBP_LLM_API_KEY: 'sk-1',
      SBP_MAX_TOKENS_FIELD: 'max_completion_tokens',
      SBP_IMAGE_MODELS: 'gpt-4o, my-*',
      SBP_MAX_TOOL_ROUNDS: '3',
      SBP_TRACK: 'always',
      SBP_IMPLICIT_SESSION: 'off',
      SBP_SUSPENDED_TIMEOUT_S: '60',
      SBP_AUTH: 'required',
      SBP_API_KEY_FILE: '/keys/api.json',
      SBP_AUTH_JWKS_URL: 'https://id.example/jwks.json',
      SBP_AUTH_JWT_ISSUER: 'https://id.example/',
      SBP_AUTH_JWT_AUDIENCE: 'sbp',
      SBP_ALLOWED_HOSTS: 'Host.docker.internal, sbp.lan',
      SBP_TRUSTED_PROXIES: '10.0.0.0/8, ::1',
      SBP_ALLOWED_ORIGINS: 'https://App.example, http://10.0.0.1:3000',
      SBP_PUBLIC_URL: 'https://sbp.example/',
      SBP_TRUSTED_ISSUERS: 'https://there.example/, http://10.0.0.1:8080',
      SBP_ISSUER_NETWORKS: 'any',
      SBP_KEY_FILE: '/keys/sbp.json',
      SBP_SESSION_MAX_BYTES: '5000',
      SBP_MAX_TURNS: '7',
      SBP_MAX_TURN_BYTES: '1000000',
      SBP_MAX_REQUESTS: '9',
      SBP_MAX_PRINCIPAL_REQUESTS: '8',
      SBP_MAX_PRINCIPAL_TURNS: '6',
      SBP_MAX_SOCKETS: '5',
      SBP_MAX_SESSION_SOCKETS: '4',
      SBP_OTLP_URL: 'http://127.0.0.1:4318/',
      SBP_TRACE_PERCENT: '5',
      SBP_LOG_LEVEL: 'debug',
      SBP_DEMO_TOKENS: '5',
      SBP_PRICES: '{"m": {"input": 1, "output": 2}}',
      SBP_CONTEXT_TOKENS: '{"m": 4000, "*": 1000}',
      SBP_LLM_CONNECT_TIMEOUT_MS: '2000',
      SBP_LLM_HEADERS_TIMEOUT_MS: '30000',
      SBP_LLM_IDLE_TIMEOUT_MS: '20000',
    });
    expect(settings).toEqual({
      backend: {
        type: 'kafka',
        brokers: ['127.0.0.1:9092', 'kafka-2:9093'],
        topicPrefix: 'test-1',
        partitions: 6,
        replication: 3,
        minIsr: 2,
        postgresUrl: kafka.SBP_POSTGRES_URL,
      },
      dataDir: '/var/lib/sbp',
      host: '::1',
      port: 0,
      jwtSecret: 'change-me-to-a-256-bit-secret',
      llm: {
        baseUrl: 'https://api.openai.com/v1',
        apiKey: 'sk-1',
        connectTimeoutMs: 2_000,
        headersTimeoutMs: 30_000,
        bodyIdleTimeoutMs: 20_000,
      },
      demo: { ...DEFAULT_DEMO_OPTIONS, tokens: 5 },
      prices: new Map([['m', { input: 1, output: 2 }]]),
      contextTokens: new Map([
        ['m', 4_000],
        ['*', 1_000],
      ]),
      maxTokensField: 'max_completion_tokens',
      imageModels: ['gpt-4o', 'my-*'],
      maxToolRounds: 3,
      suspendedTimeoutMs: 60_000,
      track: 'always',
      implicitSession: false,
      auth: {
        type: 'required',
        apiKeyFile: '/keys/api.json',
        jwt: {
          key: { type: 'jwks', url: 'https://id.example/jwks.json' },
          issuer: 'https://id.example/',
          audience: 'sbp',
        },
      },
      allowedHosts: ['host.docker.internal', 'sbp.lan'],
      trustedProxies: ['10.0.0.0/8', '::1'],
      allowedOrigins: ['https://app.example', 'http://10.0.0.1:3000'],
      publicUrl: 'https://sbp.example',
      trustedIssuers: ['https://there.example', 'http://10.0.0.1:8080'],
      issuerNetworks: 'any',
      keyFile: '/keys/sbp.json',
      logLevel: 'debug',
      traces: { url: 'http://127.0.0.1:4318', percent: 5 },
      limits: {
        sessionBytes: 5_000,
        turns: 7,
        turnBytes: 1_000_000,
        requests: 9,
        principalRequests: 8,
        principalTurns: 6,
        sockets: 5,
        sessionSockets: 4,
      },
    });
  });

  // [SBP-SEC-05]
  it('lets a server be reached from elsewhere where that was said on purpose', () => {
    const everywhere = { SBP_HOST: '0.0.0.0' };
    expect(parseSettings({ ...everywhere, SBP_AUTH: 'required' })).toMatchObject({
      host: '0.0.0.0',
      implicitSession: true,
    });
    // Nobody knows who asks: each request has a session of its own.
    expect(parseSettings({ ...everywhere, SBP_AUTH: 'none' })).toMatchObject({
      auth: { type: 'open' },
      implicitSession: false,
    });
  });

  it('knows a flag for each setting', () => {
    expect(
      parseSettings({ SBP_LLM_BASE_URL: 'http://a' }, [
        ...['--llm-base-url', 'http://b', '--auth=required', '--demo-tokens', '7'],
        ...['--prices', '{"m": {"input": 1, "output": 2}}'],
      ]),
    ).toMatchObject({
      llm: { baseUrl: 'http://b' },
      auth: { type: 'required' },
      demo: { tokens: 7 },
      prices: new Map([['m', { input: 1, output: 2 }]]),
    });
  });

  it('lets a flag override its variable', () => {
    const environment = { SBP_PORT: '1', SBP_HOST: 'localhost', SBP_DATA_DIR: 'a' };
    expect(
      parseSettings(environment, ['--port', '9000', '--data-dir=b', '--host', '127.0.0.2']),
    ).toMatchObject({
      port: 9000,
      dataDir: 'b',
      host: '127.0.0.2',
    });
  });

  // [SBP-SEC-05]
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'a port that is no number',
      { SBP_PORT: '80a' },
      /^SBP_PORT: must be a whole number from 0 to 65535$/,
    ],
    [
      'a secret that is too short',
      { SBP_JWT_SECRET: 'fifteen-bytes..' },
      /^SBP_JWT_SECRET: has 15 bytes and needs at least 16\. Set a longer one, /,
    ],
    ['a port above 65535', { SBP_PORT: '65536' }, /^SBP_PORT: must be a whole number/],
    ['a negative port', { SBP_PORT: '-1' }, /^SBP_PORT: must be/],
    [
      'an unknown backend',
      { SBP_BACKEND: 'redis' },
      /^SBP_BACKEND: must be one of embedded, kafka$/,
    ],
    ['an unknown log level', { SBP_LOG_LEVEL: 'loud' }, /^SBP_LOG_LEVEL: must be one of fatal, /],
    ['an unknown tracking', { SBP_TRACK: 'never' }, /^SBP_TRACK: must be one of opt-in, always$/],
    [
      'an unknown implicit session',
      { SBP_IMPLICIT_SESSION: 'yes' },
      /^SBP_IMPLICIT_SESSION: must be one of/,
    ],
    [
      'all addresses',
      { SBP_HOST: '0.0.0.0' },
      /^SBP_HOST: .*not a loopback address, and access is open/,
    ],
    [
      'an address of the network',
      { SBP_HOST: '192.168.1.2' },
      /^SBP_HOST: .*not a loopback address, and access is open/,
    ],
    [
      'a host name',
      { SBP_HOST: 'server.example' },
      /^SBP_HOST: .*not a loopback address, and access is open/,
    ],
    ['an unknown way of access', { SBP_AUTH: 'open' }, /^SBP_AUTH: must be one of required, none$/],
    [
      'a key set that credentials are not required for',
      { SBP_AUTH_JWKS_URL: 'https://id.example/jwks' },
      /^SBP_AUTH_JWKS_URL: needs SBP_AUTH=required/,
    ],
    [
      'a key set without an audience',
      {
        SBP_AUTH: 'required',
        SBP_AUTH_JWKS_URL: 'https://id.example/jwks',
        SBP_AUTH_JWT_ISSUER: 'https://id.example/',
      },
      /^SBP_AUTH_JWT_AUDIENCE: must be set/,
    ],
    [
      'two kinds of keys at once',
      {
        SBP_AUTH: 'required',
        SBP_AUTH_JWT_SECRET: 'long enough to be one',
        SBP_AUTH_JWKS_URL: 'https://id.example/jwks',
        SBP_AUTH_JWT_ISSUER: 'i',
        SBP_AUTH_JWT_AUDIENCE: 'a',
      },
      /^SBP_AUTH_JWKS_URL: must not be set beside/,
    ],
    ['a proxy by its name', { SBP_TRUSTED_PROXIES: 'nginx' }, /^SBP_TRUSTED_PROXIES: must be IP/],
    ['a host with a port', { SBP_ALLOWED_HOSTS: 'a/b' }, /^SBP_ALLOWED_HOSTS: must be names/],
    [
      'a model URL without a scheme',
      { SBP_LLM_BASE_URL: 'api.openai.com/v1' },
      /^SBP_LLM_BASE_URL: must be a URL/,
    ],
    [
      'a model URL of another scheme',
      { SBP_LLM_BASE_URL: 'file:///x' },
      /^SBP_LLM_BASE_URL: must be a URL/,
    ],
    [
      'an API key that fits in no header',
      { SBP_LLM_API_KEY: 'sk\n1' },
      /^SBP_LLM_API_KEY: must be printable/,
    ],
    ['any origin', { SBP_ALLOWED_ORIGINS: '*' }, /^SBP_ALLOWED_ORIGINS: must be origins/],
    [
      'an origin with a path',
      { SBP_ALLOWED_ORIGINS: 'https://a.example/x' },
      /^SBP_ALLOWED_ORIGINS: must be origins/,
    ],
    [
      'a wrong option of the demo model',
      { SBP_DEMO_TTFT_MS: 'soon' },
      /^SBP_DEMO_TTFT_MS: must be/,
    ],
    ['prices that are no JSON', { SBP_PRICES: '{"cheap"' }, /^SBP_PRICES: is not JSON/],
    ['too few tokens of context', { SBP_CONTEXT_TOKENS: '10' }, /^SBP_CONTEXT_TOKENS: .*256/],
    [
      'tokens of context in words',
      { SBP_CONTEXT_TOKENS: 'many' },
      /^SBP_CONTEXT_TOKENS: is neither a number, as in 32000, JSON.*nor a file/,
    ],
    ['half a token of context', { SBP_CONTEXT_TOKENS: '1e-1' }, /^SBP_CONTEXT_TOKENS: .*whole/],
    ['a file of prices that is not there', { SBP_PRICES: 'cheap' }, /^SBP_PRICES: .*file/],
    [
      'a timeout that is none',
      { SBP_LLM_CONNECT_TIMEOUT_MS: '0' },
      /^SBP_LLM_CONNECT_TIMEOUT_MS: must be a whole number from 1/,
    ],
    [
      'a timeout in words',
      { SBP_LLM_HEADERS_TIMEOUT_MS: '10s' },
      /^SBP_LLM_HEADERS_TIMEOUT_MS: must be/,
    ],
    [
      'a timeout without end',
      { SBP_LLM_IDLE_TIMEOUT_MS: '999999999' },
      /^SBP_LLM_IDLE_TIMEOUT_MS: must be/,
    ],
    [
      'no brokers',
      { ...kafka, SBP_KAFKA_BROKERS: '' },
      /^SBP_KAFKA_BROKERS: must be set for SBP_BACKEND=kafka/,
    ],
    [
      'no database',
      { ...kafka, SBP_POSTGRES_URL: '' },
      /^SBP_POSTGRES_URL: must be set for SBP_BACKEND=kafka/,
    ],
    [
      'a database of another kind',
      { ...kafka, SBP_POSTGRES_URL: 'mysql://x/y' },
      /^SBP_POSTGRES_URL: must be a URL/,
    ],
    [
      'a broker without port',
      { ...kafka, SBP_KAFKA_BROKERS: 'kafka' },
      /^SBP_KAFKA_BROKERS: must be host:port/,
    ],
    [
      'more in sync than there are',
      { ...kafka, SBP_KAFKA_MIN_ISR: '2' },
      /^SBP_KAFKA_MIN_ISR: must not be above/,
    ],
  ])('refuses %s by name', (_what, environment, message) => {
    const found = problems(() => parseSettings(environment));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('names all that is wrong at once, a flag by its own name, and repeats no secret', () => {
    const environment = {
      SBP_LOG_LEVEL: 'x',
      SBP_LLM_API_KEY: 'sk 1',
      SBP_POSTGRES_URL: 'pa55word',
      SBP_DEMO_TOKENS: '-',
    };
    const found = problems(() => parseSettings(environment, ['--port', 'x']));
    expect(found.map((problem) => problem.split(':')[0])).toEqual([
      '--port',
      'SBP_POSTGRES_URL',
      'SBP_LLM_API_KEY',
      'SBP_LOG_LEVEL',
      'SBP_DEMO_TOKENS',
    ]);
    expect(found.join()).not.toMatch(/sk 1|pa55word/);
  });

  it('names what is missing together with what is wrong', () => {
    const environment = { SBP_BACKEND: 'kafka', SBP_JWT_SECRET: 'short', SBP_KAFKA_MIN_ISR: '2' };
    const found = problems(() => parseSettings(environment, ['--port', '80a']));
    expect(found.map((problem) => problem.split(':')[0])).toEqual([
      '--port',
      'SBP_JWT_SECRET',
      'SBP_KAFKA_BROKERS',
      'SBP_POSTGRES_URL',
      'SBP_KAFKA_MIN_ISR',
    ]);
    expect(found.join()).not.toContain('short');
  });

  it.each([
    [['--prot', '9000'], /^--prot: is not known here. Known are: --backend, --data-dir, --host/],
    [['-p', '9000'], /^-p: is not known/],
    [['start'], /^start: is not known/],
    [['--port'], /^--port: needs a value/],
    [['--port='], /^--port: needs a value/],
    [['--__proto__', 'x'], /^--__proto__: is not known/],
    [['--ttft', '5'], /^--ttft: is not known/],
  ])('refuses the arguments %j', (argv, message) => {
    expect(problems(() => parseSettings({}, argv))[0]).toMatch(message);
  });
});

describe('settings of the demo model alone', () => {
  it('are read from the environment, and from flags before it', () => {
    const environment = {
      SBP_DEMO_TTFT_MS: '7',
      SBP_DEMO_TOKENS: '8',
      SBP_DEMO_INTERVAL_MS: '9',
      SBP_DEMO_VARY: 'true',
      SBP_DEMO_FAIL: 'hang@4',
    };
    expect(parseDemoModelSettings(environment, []).demo).toEqual({
      ttftMs: 7,
      tokens: 8,
      intervalMs: 9,
      vary: true,
      fail: { type: 'hang', every: 4 },
    });
    const flags = ['--ttft', '0', '--interval', '0', '--vary=false', '--fail', 'none'];
    expect(parseDemoModelSettings(environment, flags).demo).toEqual({
      ttftMs: 0,
      tokens: 8,
      intervalMs: 0,
      vary: false,
      fail: null,
    });
  });

  it('reads its flags before its variables', () => {
    const argv = [
      '--port',
      '0',
      '--ttft',
      '1',
      '--tokens=2',
      '--interval',
      '3',
      '--vary',
      '--fail',
      'hang',
    ];
    expect(parseDemoModelSettings({ SBP_DEMO_TOKENS: '9' }, argv)).toEqual({
      host: '127.0.0.1',
      port: 0,
      logLevel: 'info',
      demo: { ttftMs: 1, tokens: 2, intervalMs: 3, vary: true, fail: { type: 'hang', every: 1 } },
    });
  });

  it('names a wrong flag', () => {
    expect(problems(() => parseDemoModelSettings({}, ['--tokens', '0']))[0]).toMatch(
      /^--tokens: must be/,
    );
  });
});
