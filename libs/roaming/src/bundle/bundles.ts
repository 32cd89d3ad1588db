import type { OpenSession } from '#libs/domain';
import { textsOf } from '#libs/domain';
import type { BundleMessage, JsonObject, Message } from '#libs/protocol';
import type { DerivedSession, ExportRecord, Piece, TranscriptEntry } from '#libs/store';
import { Lineage, SessionReads, Transcripts, TurnEnds, mustBeOpen } from '#libs/store';
import { Injectable } from '@nestjs/common';
import type { BundleStream } from './bundle.js';

/** Which state of a session a bundle holds, and what it says of itself. */
export interface BundleRequest {
  readonly sessionId: string;
  readonly exportId: string;
  /** ISO 8601. */
  readonly exportedAt: string;
  readonly label: string | null;
  /** The last turn of the session that it holds; 0 for none. */
  readonly turnNumber: number;
}

/** A session, up to the turn that counts of it, and what it was made with. */
interface Link {
  readonly sessionId: string;
  readonly turnNumber: number;
  readonly session: OpenSession;
  readonly derived: DerivedSession | null;
}

/** A session, and behind it those that it goes on from. */
type Links = readonly [Link, ...Link[]];

/** The last task of a bundle is cut at this many characters. */
const TASK_LENGTH = 500;

/** Pieces at a conversation's end among which the last task is looked for. */
const LOOK_BACK = 50;

/**
 * Makes bundles: a session's state as it leaves this server. From the same turns each is the same
 * again, whenever it is made, so none is stored.
 */
@Injectable()
export class Bundles {
  constructor(
    private readonly reads: SessionReads,
    private readonly transcripts: Transcripts,
    private readonly turns: TurnEnds,
    private readonly lineage: Lineage,
  ) {}

  /** The bundle of an export that was recorded. */
  ofExport(record: ExportRecord): Promise<BundleStream> {
    const { exportId, sessionId, label, createdAt: exportedAt, turnNumber } = record;
    return this.of({ sessionId, exportId, exportedAt, label, turnNumber });
  }

  async of(request: BundleRequest): Promise<BundleStream> {
    const { sessionId, turnNumber, exportId, exportedAt, label } = request;
    const links = await this.links(sessionId, turnNumber);
    const { pieces, system, steps, totalCostUsd } = await this.transcripts.conversationAsOf(
      sessionId,
      turnNumber,
    );
    const createdAt = beganAt(links);
    return {
      sbp_version: '1.0',
      exported_at: exportedAt,
      label,
      session: {
        id: sessionId,
        agent_external_id: links[0].session.agentId,
        status: pieces.length === 0 ? 'idle' : 'running',
        last_task: await this.lastTask(pieces),
        created_at: createdAt,
        step_count: steps,
      },
      memory: memoryOf(links),
      state_snapshot: await this.snapshot(links),
      messages: () => bundledMessages(system, createdAt, this.transcripts.entries(pieces)),
      metadata: { export_id: exportId, total_cost_usd: totalCostUsd },
    };
  }

  private async lastTask(pieces: readonly Piece[]): Promise<string | null> {
    let task: Message | undefined;
    for await (const entries of this.transcripts.entries(pieces.slice(-LOOK_BACK))) {
      task = entries.findLast(({ message }) => message.role === 'user')?.message ?? task;
    }
    const text = task === undefined ? '' : textsOf(task.content).join(' ');
    return text === '' ? null : text.slice(0, TASK_LENGTH);
  }

  /** Read once for all that a bundle says of them. */
  private async links(sessionId: string, turnNumber: number): Promise<Links> {
    const first = await this.link(sessionId, turnNumber, await this.reads.open(sessionId));
    const rest: Link[] = [];
    for (let { base } = first.session; base !== null;) {
      const { session_id: behind, turn_number: last } = base;
      const state = mustBeOpen(behind, await this.reads.lastState(behind));
      const link = await this.link(behind, last, state);
      rest.push(link);
      ({ base } = link.session);
    }
    return [first, ...rest];
  }

  private async link(sessionId: string, turnNumber: number, session: OpenSession): Promise<Link> {
    return { sessionId, turnNumber, session, derived: await this.lineage.of(sessionId) };
  }

  /** The last checkpoint, or what an import has brought if there was none since. */
  private async snapshot(links: Links): Promise<JsonObject | null> {
    for (const { sessionId, turnNumber, derived } of links) {
      const last = await this.turns.lastSnapshot(sessionId, turnNumber);
      if (last !== null) {
        const { snapshotId, steps, model, createdAt } = last;
        return {
          snapshot_id: snapshotId,
          kind: 'checkpoint',
          step_count: steps,
          model,
          created_at: createdAt,
        };
      }
      const brought = derived?.stateSnapshot ?? null;
      if (brought !== null) return brought;
    }
    return null;
  }
}

/** What an import has brought, to a session or to one that it goes on from. */
function memoryOf(links: Links): BundleStream['memory'] {
  return firstOf(links, ({ derived }) => derived?.memory ?? null);
}

/** When the conversation began, on whatever server. */
function beganAt([first, ...rest]: Links): string {
  const elsewhere = firstOf([first, ...rest], ({ derived }) => derived?.beganAt ?? null);
  return elsewhere ?? (rest.at(-1) ?? first).session.createdAt;
}

function firstOf<T>(links: Links, read: (link: Link) => T | null): T | null {
  for (const link of links) {
    const found = read(link);
    if (found !== null) return found;
  }
  return null;
}

/**
 * Messages as they leave this server: those of the system first, which are as old as `systemAt`
 * says. What only tells where a conversation comes from stays here.
 */
export async function* bundledMessages(
  system: readonly Message[],
  systemAt: string,
  pages: AsyncIterable<readonly TranscriptEntry[]>,
): AsyncGenerator<BundleMessage> {
  for (const message of system) {
    yield { ...message, model_used: null, cost_usd: null, created_at: systemAt };
  }
  for await (const entries of pages) {
    for (const entry of entries) if (entry.isNote !== true) yield bundled(entry);
  }
}

function bundled({ message, modelUsed, costUsd, createdAt }: TranscriptEntry): BundleMessage {
  return { ...message, model_used: modelUsed, cost_usd: costUsd, created_at: createdAt };
}
