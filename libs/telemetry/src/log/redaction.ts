const HIDDEN = '[redacted]';

/** Fields whose values never reach a log, whatever they hold. */
const SECRET_FIELDS = [
  'authorization',
  'x-session-token',
  'session_token',
  'roaming_token',
  'SBP_JWT_SECRET',
  'SBP_AUTH_JWT_SECRET',
  'SBP_LLM_API_KEY',
  'jwtSecret',
  'apiKey',
];

/** How deep in a logged object secret fields are looked for. */
const LEVELS = ['', '*', '*.*', '*.*.*'];

/** Pino's `redact` option. */
export const REDACTED_FIELDS = {
  censor: HIDDEN,
  paths: LEVELS.flatMap((level) =>
    SECRET_FIELDS.map((field) => {
      const name = `["${field}"]`;
      return level === '' ? name : `${level}${name}`;
    }),
  ),
};

const SECRETS_IN_TEXT: readonly (readonly [RegExp, string])[] = [
  // A roaming token in a path is a bearer credential, also where it is damaged.
  [/(\/v1\/sbp\/token\/)[^\s"'?#/\\]+/gi, `$1${HIDDEN}`],
  // Any JWT.
  [/\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g, HIDDEN],
  // An API key of ours.
  [/\bsbp_[0-9a-f]{12}_[\w-]+/g, HIDDEN],
  [/\b(Bearer\s+)[^\s"'\\]+/gi, `$1${HIDDEN}`],
  // The password in a URL, such as a database's.
  [/(:\/\/[^\s"'/:@]*:)[^\s"'/@]+@/g, `$1${HIDDEN}@`],
];

/** Hides credentials wherever they stand in a text: paths, messages, stacks, URLs. */
export function redactText(text: string): string {
  return SECRETS_IN_TEXT.reduce(
    (result, [pattern, replacement]) => result.replace(pattern, replacement),
    text,
  );
}
