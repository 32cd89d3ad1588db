import { HEADERS, LIMITS, SbpError } from '#libs/protocol';
import type { ErrorCode } from '#libs/protocol';
import { frontRoutes } from './front-routes.js';

const NOTICE =
  '# Generated from libs/protocol by `node tools/setup/run.mjs generate`. Do not edit.\n';

/** For nginx's `http`: which service takes a request, and how long its body may be. */
export function routesConf(): string {
  const lines = frontRoutes().map(({ pattern, service }) => `  "~${pattern}" ${service};`);
  return `${NOTICE}
client_max_body_size ${LIMITS.requestBody};

# Empty: there is no such route.
map "$request_method $uri" $sbp_service {
  default "";
${lines.join('\n')}
}

# Which form an error takes: OpenAI's on its paths, and on ours the control API's.
map $request_uri $sbp_form {
  default control;
  "~^/v1/(?!sbp(?:[/?]|$))[^/]" completions;
}
`;
}

/** What nginx answers by itself, by its own status. */
interface OwnAnswer {
  readonly nginx: readonly number[];
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
}

const OWN_ANSWERS: readonly OwnAnswer[] = [
  answer([400], 400, 'SBP_INVALID_REQUEST', 'Not an HTTP request that can be served.'),
  answer([404], 404, 'SBP_INVALID_REQUEST', 'There is no such route; see docs.'),
  answer([405], 405, 'SBP_INVALID_REQUEST', 'There is no such method.'),
  answer([408], 408, 'SBP_INVALID_REQUEST', 'The request took too long to arrive.'),
  answer(
    [413],
    413,
    'SBP_PAYLOAD_TOO_LARGE',
    `The body has more than ${LIMITS.requestBody} bytes.`,
  ),
  answer([414], 414, 'SBP_INVALID_REQUEST', 'The path is too long.'),
  answer([494], 431, 'SBP_INVALID_REQUEST', 'The headers are too long.'),
  answer([500, 501, 505], 500, 'SBP_INTERNAL', 'The front could not serve this request.'),
];

const AWAY = new SbpError(
  'SBP_UPSTREAM_UNAVAILABLE',
  'No service is available for this request at the moment.',
  { retryAfter: 1 },
);
const BROKEN_OFF = new SbpError(
  'SBP_UPSTREAM_UNAVAILABLE',
  'The service broke off before it answered, and may have begun what was asked for.',
  { begun: true },
);

/**
 * For nginx's `server`: every answer of its own in the contract's form. What services answer passes
 * as it is.
 */
export function errorsConf(): string {
  return `${NOTICE}
# A service that could not be reached has begun nothing, so the client may ask again. One that was
# reached may have begun it: then only what changes nothing is to be asked again. (A named location:
# the request keeps its method. The others have paths, because a request that could not be read has
# none of its own, and nginx then finds no named location.)
error_page 502 504 =503 @unavailable;
location @unavailable {
${sharedHeaders(503)}
  add_header Retry-After $sbp_retry_after always;
  add_header x-should-retry $sbp_should_retry always;
  return 503 $sbp_unavailable;
}
${OWN_ANSWERS.map(ownAnswer).join('')}`;
}

/** For nginx's `http`: the bodies of those answers, which depend on the request. */
export function errorBodiesConf(): string {
  return `${NOTICE}
# Whether a service may have begun the request: the time of a connection that was not made is "-".
map "$request_method $upstream_connect_time" $sbp_begun {
  default 1;
  "~^(?:GET|HEAD|OPTIONS) " 0;
  "~^\\S+ [-, :]*$" 0;
}

map $sbp_begun $sbp_retry_after {
  0 ${String(AWAY.headers()['retry-after'])};
  default "";
}

map $sbp_begun $sbp_should_retry {
  0 "";
  default ${String(BROKEN_OFF.headers()['x-should-retry'])};
}

map "$sbp_begun $sbp_form" $sbp_unavailable {
${bodies(AWAY, (form) => `"0 ${form}"`)}
${bodies(BROKEN_OFF, (form) => `"1 ${form}"`)}
}
${OWN_ANSWERS.map(
  ({ status, code, message }) => `
map $sbp_form $sbp_error_${status} {
${bodies(new SbpError(code, message), (form) => form)}
}
`,
).join('')}`;
}

function ownAnswer({ nginx, status, code, message }: OwnAnswer): string {
  const own = Object.entries(new SbpError(code, message).headers());
  return `
error_page ${nginx.join(' ')} =${status} /.front/${status};
location = /.front/${status} {
  internal;
${sharedHeaders(status)}
${own.map(([name, value]) => `  add_header ${name} ${value} always;\n`).join('')}\
  return ${status} $sbp_error_${status};
}
`;
}

function sharedHeaders(status: number): string {
  const lines = [
    'default_type "application/json; charset=utf-8";',
    `add_header ${HEADERS.requestId} $sbp_request_id always;`,
    'add_header Cache-Control no-store always;',
    // Its client may still be sending: the rest would be read as the next request.
    ...(status === 413 || status === 503 ? ['keepalive_timeout 0;'] : []),
  ];
  return lines.map((line) => `  ${line}`).join('\n');
}

function bodies(error: SbpError, keyOf: (form: string) => string): string {
  return (['control', 'completions'] as const)
    .map((form) => {
      const body = JSON.stringify(error.body(form, '$sbp_request_id'));
      return `  ${keyOf(form)} '${body.replaceAll("'", "\\'")}';`;
    })
    .join('\n');
}

function answer(
  nginx: readonly number[],
  status: number,
  code: ErrorCode,
  message: string,
): OwnAnswer {
  return { nginx, status, code, message };
}
