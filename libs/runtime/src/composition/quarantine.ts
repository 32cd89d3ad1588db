import type { QuarantinedEvent, QuarantinedSession, RetryOutcome } from '#libs/store';
import { Projection, Quarantine } from '#libs/store';
import type { Logger } from '#libs/telemetry';
import type { QuarantineCommand } from '../settings/quarantine-command.js';
import { openIdleStorage } from './idle-storage.js';

/** What is read at once; more follows in the next page. */
const PAGE = 100;

export interface QuarantineOutput {
  /** For standard output. */
  readonly print: (text: string) => void;
  /** For standard error. */
  readonly complain: (text: string) => void;
}

type CommandOf<T extends QuarantineCommand['type']> = Extract<QuarantineCommand, { type: T }>;

/**
 * What an operator sees and does of quarantined sessions [A12]; on Kafka beside services that run.
 * Gives the exit code: 1 where the session is not quarantined, or one stays so after a retry.
 * @throws as `openIdleStorage`
 */
export async function runQuarantine(
  command: QuarantineCommand,
  output: QuarantineOutput,
  logger: Logger,
): Promise<0 | 1> {
  const storage = await openIdleStorage(command.settings, 'quarantine', logger);
  try {
    const quarantine = new Quarantine(storage.database, new Projection());
    switch (command.type) {
      case 'list':
        return await list(quarantine, command, output);
      case 'show':
        return await show(quarantine, command, output);
      case 'retry':
        return await retry(quarantine, command, output);
    }
  } finally {
    await storage.close();
  }
}

async function list(
  quarantine: Quarantine,
  { asJson }: CommandOf<'list'>,
  { print }: QuarantineOutput,
): Promise<0> {
  for await (const session of all(quarantine)) {
    print(asJson ? line(session) : sessionText(session));
  }
  const { sessions, events, skipped } = await quarantine.counts();
  const counted = `${sessions} quarantined, with ${events} events; ${skipped} events passed over\n`;
  if (!asJson) print(counted);
  return 0;
}

async function show(
  quarantine: Quarantine,
  { sessionId, withContent, asJson }: CommandOf<'show'>,
  { print, complain }: QuarantineOutput,
): Promise<0 | 1> {
  const session = await quarantine.find(sessionId);
  if (session === null) {
    complain(`${sessionId} is not quarantined.\n`);
    return 1;
  }
  if (!asJson) print(sessionText(session));
  for (let from = 0; ;) {
    const events = await quarantine.events(sessionId, from, PAGE, { withContent });
    for (const event of events) print(asJson ? line(event) : eventText(event));
    const last = events.at(-1);
    if (last === undefined) return 0;
    from = last.offset + 1;
  }
}

async function retry(
  quarantine: Quarantine,
  { sessionId, asJson }: CommandOf<'retry'>,
  { print }: QuarantineOutput,
): Promise<0 | 1> {
  let code: 0 | 1 = 0;
  const one = async (id: string): Promise<void> => {
    const outcome = await quarantine.retry(id);
    if (outcome.type !== 'folded') code = 1;
    print(asJson ? line({ sessionId: id, ...outcome }) : outcomeText(id, outcome));
  };
  if (sessionId !== null) {
    await one(sessionId);
    return code;
  }
  for await (const session of all(quarantine)) {
    if (session.reason !== 'no_session') await one(session.sessionId);
  }
  return code;
}

async function* all(quarantine: Quarantine): AsyncGenerator<QuarantinedSession> {
  for (let after = ''; ;) {
    const page = await quarantine.list(after, PAGE);
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.sessionId;
  }
}

/** One JSON object a line. */
function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function sessionText(session: QuarantinedSession): string {
  const { sessionId, partition, offset, reason, detail, events } = session;
  const place = `partition ${partition}, since offset ${offset}, ${events} events held`;
  return `${sessionId}  ${place}\n  ${reason}: ${detail}\n`;
}

function eventText({ offset, eventId, eventType, reason, value }: QuarantinedEvent): string {
  const name = `${eventType ?? 'no type'}  ${eventId ?? 'no id'}`;
  const text = value === null ? '' : `          ${value}\n`;
  return `  ${String(offset).padStart(6)}  ${name}  ${reason}\n${text}`;
}

function outcomeText(sessionId: string, outcome: RetryOutcome): string {
  switch (outcome.type) {
    case 'none':
      return `${sessionId} has nothing that could be folded: it is not quarantined, or no session.\n`;
    case 'folded':
      return `${sessionId} is served again: ${outcome.events} events folded.\n`;
    case 'held': {
      const { offset, reason, detail } = outcome.fault;
      return (
        `${sessionId} stays quarantined, after ${outcome.events} events folded: ` +
        `offset ${offset}, ${reason}: ${detail}\n`
      );
    }
  }
}
