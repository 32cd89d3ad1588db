import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { loadSecret } from '#libs/auth';
import { Seals, TrailReads, auditRecord, auditSchema, verdictText, verifyTrail } from '#libs/audit';
import { ConsumerPositions } from '#libs/event-log';
import type { AuditCommand } from '#libs/runtime';
import { openIdleStorage } from '#libs/runtime';
import { createLogger } from '#libs/telemetry';

/** `sbp-server audit verify` and `audit export`; resolves with the exit code. */
export async function audit(command: AuditCommand, output: NodeJS.WriteStream): Promise<number> {
  const { settings } = command;
  // Standard output is the report's alone.
  const logger = createLogger('audit', settings.logLevel, process.stderr);
  const storage = await openIdleStorage(settings, 'audit', logger, auditSchema);
  try {
    const { database, log } = storage;
    const reads = new TrailReads(database);
    if (command.what === 'export') {
      const { sessionId, partition, from } = command;
      const rows = reads.records({ sessionId, partition, principal: null }, from);
      await pipeline(Readable.from(lines(rows)), output, { end: false });
      return 0;
    }
    const secret = loadSecret({ secret: settings.jwtSecret, dataDir: settings.dataDir });
    const positions = new ConsumerPositions(database);
    const parts = { log, positions, reads, seals: new Seals(secret) };
    const verdict = await verifyTrail(parts, { fromLog: command.fromLog });
    output.write(command.asJson ? `${JSON.stringify(verdict, null, 2)}\n` : verdictText(verdict));
    return verdict.intact ? 0 : 1;
  } finally {
    await storage.close();
  }
}

async function* lines(
  rows: AsyncIterable<Parameters<typeof auditRecord>[0]>,
): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(auditRecord(row))}\n`;
}
