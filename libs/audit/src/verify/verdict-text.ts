import type { Verdict, VerifiedPartition } from './verification.js';

/** A verdict for a reader at a terminal: one line a partition that has records or damage. */
export function verdictText({ intact, partitions }: Verdict): string {
  const shown = partitions.filter(({ records, damage }) => records > 0 || damage !== null);
  const total = partitions.reduce((sum, { records }) => sum + records, 0);
  const said = intact
    ? `The audit trail is intact: ${total} records.`
    : 'The audit trail is DAMAGED.';
  return [...shown.map(lineOf), said, ''].join('\n');
}

function lineOf(verified: VerifiedPartition): string {
  const { partition, records, checkpoints, pending, chain, damage } = verified;
  if (damage !== null) {
    return `partition ${partition}, offset ${damage.offset}: ${damage.problem}`;
  }
  const behind = pending === null || pending === 0 ? '' : `, ${pending} of the log still to come`;
  return `partition ${partition}: ${records} records, ${checkpoints} checkpoints${behind}, chain ${chain}`;
}
