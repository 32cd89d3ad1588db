import type { Database } from '#libs/sql';
import { tuples } from '#libs/sql';
import { rows } from '../statement.js';

/** An answer that was about to be given when its claim was released. */
export interface UnconfirmedAnswer {
  readonly sessionId: string;
  readonly turnId: string;
  readonly incarnation: string;
}

/** How `claims.unconfirmed` names an answer. */
export function unconfirmedMark(turnId: string, incarnation: string): string {
  return `;${turnId}@${incarnation}`;
}

/** Sessions in one statement. */
const CHUNK = 500;

/**
 * Answers whose callers may not have got them. A release marks its answer before it is given; when
 * it was given the mark is taken away, for many answers at once, with the next heartbeat. What a
 * dead process left marked is owed to surfaces [A6].
 */
export class UnconfirmedAnswers {
  private given = new Map<string, string[]>();

  constructor(private readonly database: Database) {}

  /** The answer was given, or is owed anyway: the next `flush` takes its mark away. */
  confirm({ sessionId, turnId, incarnation }: UnconfirmedAnswer): void {
    const marks = this.given.get(sessionId) ?? [];
    marks.push(unconfirmedMark(turnId, incarnation));
    this.given.set(sessionId, marks);
  }

  /** What fails to be written is kept for the next call. */
  async flush(): Promise<void> {
    while (this.given.size > 0) {
      const chunk = [...this.given].slice(0, CHUNK).map(([sessionId, marks]) => {
        const [first = ''] = marks;
        return [sessionId, first] as const;
      });
      await this.database.writeOne(
        (writer) => rows(writer)`
          WITH given (session_id, mark) AS (VALUES ${tuples(chunk)})
          UPDATE claims SET unconfirmed = REPLACE(claims.unconfirmed, given.mark, '')
          FROM given WHERE claims.session_id = given.session_id`,
      );
      for (const [sessionId] of chunk) this.drop(sessionId);
    }
  }

  /** Those that these processes left. */
  async of(incarnations: ReadonlySet<string>): Promise<readonly UnconfirmedAnswer[]> {
    if (incarnations.size === 0) return [];
    const marked = await this.database.read(
      (reader) => rows(reader)<{ sessionId: string; unconfirmed: string }>`
        SELECT session_id AS "sessionId", unconfirmed FROM claims WHERE unconfirmed <> ''`,
    );
    return marked.flatMap(({ sessionId, unconfirmed }) =>
      unconfirmed
        .split(';')
        .map((mark) => mark.split('@'))
        .flatMap(([turnId = '', incarnation = '']) =>
          incarnations.has(incarnation) ? [{ sessionId, turnId, incarnation }] : [],
        ),
    );
  }

  private drop(sessionId: string): void {
    const rest = this.given.get(sessionId)?.slice(1) ?? [];
    if (rest.length === 0) this.given.delete(sessionId);
    else this.given.set(sessionId, rest);
  }
}
