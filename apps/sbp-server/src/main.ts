import { serveDemoModel } from '#libs/llm';
import { SBP_LEVEL, SBP_VERSION } from '#libs/protocol';
import {
  addressOf,
  configCommand,
  keysCommand,
  migrate,
  parseAuditCommand,
  parseDemoModelSettings,
  parseLogCommand,
  parseQuarantineCommand,
  parseSettings,
  rebuild,
  runQuarantine,
  runService,
  sessionReport,
  sessionReportText,
  startProblem,
  tokenCommand,
} from '#libs/runtime';
import { createLogger } from '#libs/telemetry';
import { importSession, lineage, roam } from '#libs/terminal-roaming';
import { runSurface } from '#libs/terminal-surface';
import { AUDIT_TABLES } from '#libs/audit';
import { audit } from './audit.js';
import { sbpServer } from './service.js';

const USAGE = `Usage: sbp-server <command> [options]

  start [--port N] [--host H] [--data-dir DIR] …     the server, everything in one process
  demo-model [--port N] [--ttft MS] [--tokens N] [--interval MS] [--vary] [--fail …]
                                                     the built-in model alone, as an OpenAI-compatible API
  migrate                                            makes the log's topic and the tables on Kafka and Postgres
  rebuild [--data-dir DIR]                           makes the read models again from the log; stop the server first
  log <session-id> [--content] [--json] [--data-dir DIR]
                                                     a session's events, state, claim and Tether; embedded, stop the server first
  quarantine list [--json] [--data-dir DIR]          the sessions with an event that cannot be folded; embedded, stop the server first
  quarantine show <session-id> [--content] [--json] [--data-dir DIR]
                                                     the events that are held of one
  quarantine retry <session-id>|--all [--json] [--data-dir DIR]
                                                     tries to fold them again
  surface [--url URL] [--session ID --token TOKEN] [--ask TEXT] [--model NAME] [--device-type TYPE]
          [--tools LIST|none] [--place LAT,LON] [--shell] [--yes] [--json]
                                                     this terminal as a surface: shows turns, sends what you type
  roam <session-id> [--url URL] [--token TOKEN] [--ttl SECONDS] [--label TEXT]
                                                     exports a session, as a URL and a QR code
  import <token or URL> [--url URL] [--agent ID] [--reuse]
                                                     imports it at the server of --url
  lineage <session-id> [--url URL] [--token TOKEN]   a session's relatives, as a tree
  keys list|rotate [--alg EdDSA|ES256] [--data-dir DIR]
                                                     the key pairs that sign roaming tokens
  token create --principal NAME [--role user|operator] [--ttl-days N] [--label TEXT] | list | revoke ID
                                                     API keys, for SBP_AUTH=required
  config [flags of start]                            every setting, and what has set it
  audit verify [--from-log] [--json] [--data-dir DIR]
                                                     whether the audit trail is as it was written; embedded, stop the server first
  audit export [--session ID] [--partition N] [--from OFFSET] [--data-dir DIR]
                                                     the audit trail as lines of JSON

Settings are environment variables, SBP_…, and flags of start: see docs/settings.md.
`;

const [command, ...argv] = process.argv.slice(2);
const given = { ...process.env };
/** Who starts it by hand reads the banner; what goes wrong is still said. */
const DEFAULTS = { SBP_LOG_LEVEL: 'warn' };
if ((process.env['SBP_LOG_LEVEL'] ?? '').trim() === '') {
  process.env['SBP_LOG_LEVEL'] = DEFAULTS.SBP_LOG_LEVEL;
}

try {
  switch (asksForHelp(argv) ? 'help' : command) {
    case 'start':
      await start();
      break;
    case 'demo-model':
      await demoModel();
      break;
    case 'migrate':
      await prepareStorage();
      break;
    case 'rebuild':
      await rebuildReadModels();
      break;
    case 'log':
      await printSession();
      break;
    case 'quarantine':
      await quarantine();
      break;
    case 'surface':
      await surface();
      break;
    case 'roam':
      process.stdout.write(await roam(argv, process.env));
      break;
    case 'import':
      process.stdout.write(await importSession(argv, process.env));
      break;
    case 'lineage':
      process.stdout.write(await lineage(argv, process.env));
      break;
    case 'keys':
      process.stdout.write(await keysCommand(process.env, argv));
      break;
    case 'token':
      process.stdout.write(tokenCommand(process.env, argv));
      break;
    case 'config':
      process.stdout.write(configCommand(given, argv, DEFAULTS));
      break;
    case 'audit':
      process.exitCode = await audit(parseAuditCommand(process.env, argv), process.stdout);
      break;
    case '-h':
    case '--help':
    case 'help':
      process.stdout.write(USAGE);
      break;
    default:
      process.stderr.write(
        `${command === undefined ? '' : `Unknown command: ${command}\n\n`}${USAGE}`,
      );
      process.exitCode = 2;
  }
} catch (error) {
  process.stderr.write(`${startProblem(error)}\n`);
  process.exitCode = 1;
}

function asksForHelp(args: readonly string[]): boolean {
  return args.includes('--help') || args.includes('-h');
}

async function start(): Promise<void> {
  await runService((settings) => sbpServer(settings), argv, {
    onListening: (app, { backend, llm }) => {
      const port = new URL(addressOf(app)).port;
      const storage =
        backend.type === 'embedded'
          ? 'embedded (SQLite, single-process)'
          : 'kafka (Kafka and Postgres)';
      process.stdout.write(
        `→ SBP reference server v${SBP_VERSION} running on http://localhost:${port}\n` +
          `→ Backend: ${storage}\n` +
          `→ Conformance level: ${SBP_LEVEL}\n` +
          (llm === null
            ? '→ Model: the built-in demo model; set SBP_LLM_BASE_URL for a real one\n'
            : ''),
      );
    },
  });
}

async function demoModel(): Promise<void> {
  const { host, port, demo } = parseDemoModelSettings(process.env, argv);
  const server = await serveDemoModel({ ...demo, host, port });
  process.stdout.write(`${JSON.stringify({ listening: server.url })}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void server.close().finally(() => process.exit(0)));
  }
}

async function prepareStorage(): Promise<void> {
  const settings = parseSettings(process.env, argv);
  const logger = createLogger('migrate', settings.logLevel);
  const { topic, partitions } = await migrate(settings, logger, sbpServer(settings).tables);
  process.stdout.write(`Ready: topic ${topic} with ${partitions} partitions, and the tables.\n`);
}

async function rebuildReadModels(): Promise<void> {
  const settings = parseSettings(process.env, argv);
  const logger = createLogger('rebuild', settings.logLevel);
  const records = await rebuild(settings, logger, AUDIT_TABLES);
  process.stdout.write(`Folded ${records} records of the log.\n`);
}

async function printSession(): Promise<void> {
  const { settings, sessionId, withContent, asJson } = parseLogCommand(process.env, argv);
  // Standard output is the report's alone.
  const logger = createLogger('log', settings.logLevel, process.stderr);
  const report = await sessionReport(settings, sessionId, { withContent }, logger);
  if (report.events.length === 0 && report.claim === null) {
    process.stderr.write(`The log has no session ${sessionId}.\n`);
    process.exitCode = 1;
    return;
  }
  const text = asJson ? `${JSON.stringify(report, null, 2)}\n` : sessionReportText(report);
  process.stdout.write(text);
}

async function quarantine(): Promise<void> {
  const command = parseQuarantineCommand(process.env, argv);
  const logger = createLogger('quarantine', command.settings.logLevel, process.stderr);
  const output = {
    print: (text: string) => void process.stdout.write(text),
    complain: (text: string) => void process.stderr.write(text),
  };
  process.exitCode = await runQuarantine(command, output, logger);
}

async function surface(): Promise<void> {
  const leaving = new AbortController();
  // Once: a second Ctrl-C ends the process as usual.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => leaving.abort());
  const { env: environment, stdin, stdout, stderr } = process;
  const io = { environment, stdin, stdout, stderr, stop: leaving.signal };
  process.exitCode = await runSurface(argv, io);
}
