import { ExportResponse, ImportResponse, LineageResponse } from '#libs/protocol';
import { renderUnicodeCompact } from 'uqr';
import { lineageText } from './lineage-text.js';
import { readCommand, roamingTokenOf, sessionOf } from './options.js';
import { ServerApi } from './server-api.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Exports a session, and shows where it can be fetched: as a URL and as a QR code. */
export async function roam(argv: readonly string[], environment: Environment): Promise<string> {
  const command = readCommand(argv, ['url', 'token', 'ttl', 'label'], environment);
  const { ttlSeconds, label } = command;
  const exported = await new ServerApi(command.url, command.token, command.apiKey).ask(
    'POST',
    `sessions/${sessionOf(command)}/export`,
    ExportResponse,
    {
      ...(ttlSeconds === null ? {} : { ttl_seconds: ttlSeconds }),
      ...(label === null ? {} : { label }),
    },
  );
  const { roaming_token: token, message_count: count, expires_at: until } = exported;
  const link = `${issuerOf(token) ?? command.url}/v1/sbp/token/${token}`;
  return (
    `${renderUnicodeCompact(link)}\n\n${link}\n\n` +
    `${count} messages, until ${until}, once. On the other machine:\n` +
    `  sbp-server import ${link}\n`
  );
}

/** Imports an export as a session, and says how to go on with it. */
export async function importSession(
  argv: readonly string[],
  environment: Environment,
): Promise<string> {
  const command = readCommand(argv, ['url', 'agent', 'reuse'], environment);
  const imported = await new ServerApi(command.url, null, command.apiKey).ask(
    'POST',
    'sessions/import',
    ImportResponse,
    {
      roaming_token: roamingTokenOf(command),
      allow_reuse: command.reuse,
      ...(command.agent === null ? {} : { target_agent_id: command.agent }),
    },
  );
  const { session_id: id, session_token: token, agent_id: agent, provenance } = imported;
  const from = provenance.server ?? 'this server';
  return (
    `Session ${id} of the agent ${JSON.stringify(agent)}: ${imported.messages_restored} messages ` +
    `from session ${provenance.session_id} on ${from}.\n` +
    `Attach to it, or go on by sending "sbp": {"session_id": "${id}"}:\n` +
    `  sbp-server surface --url ${command.url} --session ${id} --token ${token}\n`
  );
}

/** Draws where a session comes from, and what was made from it and its relatives. */
export async function lineage(argv: readonly string[], environment: Environment): Promise<string> {
  const command = readCommand(argv, ['url', 'token'], environment);
  const api = new ServerApi(command.url, command.token, command.apiKey);
  return lineageText(sessionOf(command), (id) =>
    api.ask('GET', `sessions/${id}/lineage`, LineageResponse),
  );
}

/** The server that a token is of, as it says itself. */
function issuerOf(token: string): string | null {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      readonly iss?: unknown;
    };
    return typeof claims.iss === 'string' ? claims.iss : null;
  } catch {
    return null;
  }
}
