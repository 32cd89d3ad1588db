// The table of docs/architecture.md: which part may use which. There are no exceptions.
const LIBRARIES = {
  protocol: [],
  timing: [],
  domain: ['protocol'],
  sql: ['timing'],
  kafka: ['timing'],
  telemetry: [],
  'event-log': ['protocol', 'timing', 'sql', 'kafka'],
  mailbox: ['protocol', 'timing', 'kafka'],
  store: ['protocol', 'timing', 'domain', 'sql'],
  'session-log': ['protocol', 'timing', 'domain', 'event-log', 'store'],
  tools: ['protocol', 'domain', 'mailbox', 'sql', 'store', 'session-log'],
  live: ['protocol', 'mailbox'],
  llm: ['protocol', 'timing'],
  auth: ['protocol', 'sql'],
  access: ['protocol', 'telemetry', 'domain', 'store', 'auth'],
};
const SERVICES = ['completions', 'sessions', 'roaming', 'gateway', 'audit', 'analytics'];
const FOUNDATION = Object.keys(LIBRARIES);
/** Clients of the server: nothing of the server is made of them. */
const CLIENTS = { 'terminal-surface': ['protocol', 'timing'], 'terminal-roaming': ['protocol'] };
const ALLOWED = {
  ...LIBRARIES,
  ...Object.fromEntries(SERVICES.map((service) => [service, FOUNDATION])),
  runtime: FOUNDATION,
  testing: FOUNDATION,
  ...CLIENTS,
};
const TESTS = '\\.(spec|contract)\\.ts$|/testing/|^(tests|tools)/';

const among = (names) => `^libs/(${names.join('|')})/`;

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'known-library',
      comment: 'A new library gets its line in the table first.',
      severity: 'error',
      from: { path: '^libs/', pathNot: among(Object.keys(ALLOWED)) },
      to: {},
    },
    ...Object.entries(ALLOWED).map(([library, allowed]) => ({
      name: `${library}-uses-only-its-own`,
      comment: `libs/${library} may use: ${allowed.join(', ') || 'no library of ours'}.`,
      severity: 'error',
      from: { path: `^libs/${library}/` },
      to: { path: '^libs/', pathNot: among([library, 'testing', ...allowed]) },
    })),
    {
      name: 'testing-in-tests-only',
      comment: 'Only tests, and what they are made of, may use libs/testing.',
      severity: 'error',
      from: { pathNot: TESTS },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'testing-beside-services',
      comment: 'What libs/testing itself uses cannot be tested with it: it would be a cycle.',
      severity: 'error',
      from: { path: among(FOUNDATION) },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'libraries-stand-alone',
      comment: 'Libraries know neither programs nor tools; their tests may use the latter.',
      severity: 'error',
      from: { path: '^libs/', pathNot: '\\.(spec|contract)\\.ts$' },
      to: { path: '^(apps|tools|tests)/' },
    },
    {
      name: 'programs-stand-alone',
      comment: 'Only sbp-server is made of the other services.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: ['\\.spec\\.ts$', '^apps/sbp-server/'] },
      to: { path: '^(apps|tools|tests)/', pathNot: '^apps/$1/' },
    },
    {
      name: 'sbp-server-composes-services',
      severity: 'error',
      from: { path: '^apps/sbp-server/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^(apps|tools|tests)/',
        pathNot: ['^apps/sbp-server/', '^apps/[^/]+/src/service\\.ts$'],
      },
    },
    {
      name: 'public-face',
      comment: 'Another part of the system is used by its index only.',
      severity: 'error',
      from: { path: '^(apps|libs|tools|tests)/([^/]+)/' },
      to: { path: '^libs/[^/]+/src/', pathNot: ['^libs/[^/]+/src/index\\.ts$', '^$1/$2/'] },
    },
    {
      name: 'pure-domain',
      comment:
        'No Nest, no I/O, no clock, no random in the domain, and nothing that could bring them.',
      severity: 'error',
      from: { path: '^libs/domain/', pathNot: '\\.spec\\.ts$' },
      to: { dependencyTypes: ['core', 'npm'] },
    },
    {
      name: 'no-development-dependency-in-production',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['statebridge-source', 'node', 'import', 'require', 'types', 'default'],
      mainFields: ['main', 'types'],
    },
  },
};
