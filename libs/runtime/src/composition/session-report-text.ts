import type { LogEvent } from '#libs/protocol';
import type { InspectedClaim } from '#libs/store';
import type { ReportedEvent, SessionReport } from './session-report.js';

/** A report for a terminal. */
export function sessionReportText(report: SessionReport): string {
  return [
    ...heading(report),
    '',
    `Events (${report.events.length})`,
    ...report.events.flatMap(eventLines),
    '',
    'State, as folded from these events',
    indented(JSON.stringify(report.state, null, 2)),
    '',
    'Claim',
    ...claimLines(report.claim).map((line) => `  ${line}`),
    '',
    'Tether',
    `  ${tetherLine(report)}`,
    '',
  ].join('\n');
}

const VERDICTS: Readonly<Record<SessionReport['readModels'], string>> = {
  same: 'as the log says',
  behind: 'right as far as they are folded',
  quarantined: 'QUARANTINED: `sbp-server quarantine show` says why',
  different: 'DIFFERENT from the log: `sbp-server rebuild` makes them again',
};

function heading(report: SessionReport): readonly string[] {
  const { sessionId, backend, partition, end, foldedTo, readModels, unreadable } = report;
  const behind = Math.max(0, end - foldedTo);
  return [
    `Session ${sessionId}`,
    `  storage      ${backend}`,
    `  partition    ${partition}, which ends at offset ${end}`,
    `  projector    at ${foldedTo}: ${behind === 0 ? 'all is folded' : `${behind} records behind`}`,
    `  read models  ${VERDICTS[readModels]}`,
    ...(unreadable === 0
      ? []
      : [`  ${unreadable} records of the partition cannot be read by this version`]),
  ];
}

function eventLines({ offset, event }: ReportedEvent): readonly string[] {
  const epoch = 'epoch' in event ? ` epoch ${String(event.epoch)}` : '';
  const turn = 'turn_id' in event ? ` turn ${String(event.turn_id)}` : '';
  return [
    `  ${String(offset).padStart(6)}  ${event.occurred_at}  ${event.type}${epoch}${turn}`,
    `          by ${byText(event.by)}`,
    `          data ${JSON.stringify(event.data)}`,
    ...('content' in event ? [`          content ${JSON.stringify(event.content)}`] : []),
  ];
}

function byText({ principal, via, address, request_id: requestId }: LogEvent['by']): string {
  return [
    `${principal ?? 'nobody'} via ${via}`,
    ...(address === undefined ? [] : [`from ${address}`]),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ].join(' ');
}

function claimLines(claim: InspectedClaim | null): readonly string[] {
  if (claim === null) return ['none'];
  const { turnId, epoch, runner, process: sign, head, unconfirmed } = claim;
  const beat = sign === null ? 'not known any more' : `at beat ${sign.beat}`;
  const life = sign?.hasLeft === true ? 'has left' : beat;
  return [
    turnId === null ? `released, at epoch ${epoch}` : `held for turn ${turnId}, at epoch ${epoch}`,
    `by the process at slot ${runner.slot}, ${runner.incarnation}: ${life}`,
    `log head ${head < 0 ? 'not known' : head}`,
    `unconfirmed answers: ${unconfirmed.length === 0 ? 'none' : unconfirmed.join(', ')}`,
  ];
}

function tetherLine({ tether }: SessionReport): string {
  if (tether === null) return 'none: the session was never opened';
  const { cursor, head, owed } = tether;
  return `cursor ${cursor}, head ${head}: ${owed} ${owed === 1 ? 'turn is' : 'turns are'} owed`;
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
