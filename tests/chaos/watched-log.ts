import type {
  Append,
  AppendOutcome,
  EventLog,
  LogBatch,
  LogReader,
  LogSubscription,
} from '#libs/event-log';
import { ForwardingEventLog } from '#libs/event-log';
import type { LogEvent, LogEventType } from '#libs/protocol';
import type { KillPoint } from '../../tools/chaos/steps.js';
import type { SurfaceNote } from '../../tools/chaos/work-ledger.js';
import type { KillPoints } from './kill-points.js';
import type { WorkWriter } from './work-writer.js';

const SENT: Partial<Record<LogEventType, KillPoint>> = {
  'session.handed_off': 'G1',
  'export.consumed': 'G5',
  'import.begun': 'G8',
  'turn.started': 'T2',
  'turn.completed': 'T5',
  'turn.cancelled': 'C2',
  'turn.queued': 'Q1',
  'tools.called': 'S1',
  'tool.returned': 'S4',
  'turn.parked': 'P1',
  'surface.attached': 'A1',
  'surface.acknowledged': 'K1',
};
const ACKNOWLEDGED: Partial<Record<LogEventType, KillPoint>> = {
  'session.handed_off': 'G2',
  'export.consumed': 'G6',
  'session.restored': 'G7',
  'import.begun': 'G9',
  'turn.started': 'T3',
  'turn.completed': 'T6',
  'turn.adopted': 'O2',
  'turn.cancelled': 'C3',
  'turn.queued': 'Q2',
  'tools.called': 'S2',
  'tool.returned': 'S5',
  'turn.parked': 'P2',
  'surface.acknowledged': 'K2',
};
/** Points of a batch: when it is handed over, and when its transaction is committed. */
interface FoldSteps {
  readonly begun: KillPoint | null;
  readonly committed: KillPoint | null;
}
const NO_STEPS: FoldSteps = { begun: null, committed: null };
/** Batches of the read models, by what is in them: the first that fits. */
const FOLDED: readonly (FoldSteps & { readonly type: LogEventType })[] = [
  { type: 'turn.parked', begun: null, committed: 'F5' },
  { type: 'tools.called', begun: 'F1', committed: 'F2' },
  { type: 'tool.returned', begun: 'F3', committed: 'F4' },
];
/** Batches of the consumers that keep something besides the read models. */
const KEPT_BY: Readonly<Partial<Record<string, FoldSteps>>> = {
  audit: { begun: 'L1', committed: 'L2' },
  analytics: { begun: 'U1', committed: 'U2' },
};
const ENDINGS: readonly LogEventType[] = ['turn.completed', 'turn.failed', 'turn.cancelled'];

/** The log with its kill points, and notes of what is on its way. */
export class WatchedLog extends ForwardingEventLog {
  constructor(
    inner: EventLog,
    private readonly points: KillPoints,
    private readonly work: WorkWriter,
    /** Is given the turns whose completion was acknowledged here. */
    private readonly ended: Set<string>,
    /** Is given the turns that wait here. */
    private readonly waiting: Set<string>,
  ) {
    super(inner);
  }

  override async append(events: Append): Promise<AppendOutcome> {
    // An opening comes with the first turn's start, which is what counts.
    const event = events.find(({ type }) => type in SENT) ?? events[0];
    const { type } = event;
    if (ENDINGS.includes(type)) this.streamEnds(event);
    this.noteSurface(event, 'sent');
    const outcome = await this.work.during('append', () =>
      this.points.passSending(isDerived(event) ? 'G3' : (SENT[type] ?? null), () =>
        super.append(events),
      ),
    );
    if (outcome.type === 'rejected') return outcome;
    this.noteSurface(event, 'appended');
    if (type === 'turn.queued') this.waiting.add(event.turn_id);
    if (type === 'turn.completed') this.ended.add(event.turn_id);
    const acknowledged = isDerived(event) ? 'G4' : ACKNOWLEDGED[type];
    if (acknowledged !== undefined) this.points.pass(acknowledged);
    if (event.type === 'turn.started') this.points.streamBegins(event.turn_id);
    return outcome;
  }

  override subscribe(reader: LogReader): Promise<LogSubscription> {
    return super.subscribe({
      consumer: reader.consumer,
      batchSize: reader.batchSize,
      position: (partition) => reader.position(partition),
      handle: (batch) => this.handle(reader, batch),
      onProblem: (problem, error) => reader.onProblem(problem, error),
    });
  }

  private async handle(reader: LogReader, batch: LogBatch): ReturnType<LogReader['handle']> {
    const types = new Set(batch.records.map(({ event }) => event?.type));
    const steps =
      KEPT_BY[reader.consumer] ?? FOLDED.find(({ type }) => types.has(type)) ?? NO_STEPS;
    const outcome = await this.work.during('fold', () =>
      this.points.passSending(steps.begun, () => reader.handle(batch)),
    );
    if (steps.committed !== null) this.points.pass(steps.committed);
    return outcome;
  }

  private streamEnds(event: LogEvent): void {
    if ('turn_id' in event) this.points.streamEnds(event.turn_id);
  }

  private noteSurface(event: LogEvent, phase: SurfaceNote['phase']): void {
    const fact = surfaceFact(event);
    if (fact !== null)
      this.work.note({ note: 'surface-fact', session: event.session_id, phase, ...fact });
  }
}

function surfaceFact(event: LogEvent): Pick<SurfaceNote, 'fact' | 'attachId' | 'seq'> | null {
  switch (event.type) {
    case 'surface.attached':
      return { fact: 'attached', attachId: event.data.attach_id, seq: 0 };
    case 'surface.detached':
      return { fact: 'detached', attachId: event.data.attach_id, seq: 0 };
    case 'surface.acknowledged':
      return { fact: 'acknowledged', attachId: event.data.attach_id, seq: event.data.seq };
    default:
      return null;
  }
}

/** Whether it opens a session that is made from another one. */
function isDerived(event: LogEvent): boolean {
  return event.type === 'session.opened' && event.data.origin !== undefined;
}
