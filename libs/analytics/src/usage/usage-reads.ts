import type { UsageKey, UsageRow } from '#libs/protocol';
import { USAGE_LIMITS } from '#libs/protocol';
import type { Database, SqlPart } from '#libs/sql';
import { part, raw, sql } from '#libs/sql';
import { MAX_PATTERN } from '../fold/counters.js';
import { usageRow } from './usage-row.js';

export interface UsageQuestion {
  /** Days in UTC, both of them included. */
  readonly from: string;
  readonly to: string;
  readonly groupBy: readonly UsageKey[];
}

/** `too_many`: more rows than an answer may have. */
export type UsageAnswer =
  { readonly type: 'rows'; readonly rows: readonly UsageRow[] } | { readonly type: 'too_many' };

const COLUMNS: Readonly<Record<UsageKey, string>> = {
  day: 'day',
  principal: 'principal',
  agent: 'agent_id',
  model: 'model',
  device: 'device_type',
};

type Keys = Readonly<Partial<Record<UsageKey, string>>>;

/** Reads the counters of a range of days; its cost is theirs, and not the log's. */
export class UsageReads {
  constructor(private readonly database: Database) {}

  async usage({ from, to, groupBy }: UsageQuestion): Promise<UsageAnswer> {
    const between = part`day >= ${from} AND day <= ${to}`;
    if (await this.isTooMuch(groupBy, between)) return { type: 'too_many' };
    const names = groupBy.map((key) => `${COLUMNS[key]} AS "${key}"`);
    const selected = raw([...names, 'counter'].join(', '));
    const columns = raw([...columnsOf(groupBy), 'counter'].join(', '));
    const { rows } = await this.database.read(
      (reader) => sql(reader)<Keys & { counter: string; value: number }>`
        SELECT ${selected}, CASE WHEN counter LIKE ${MAX_PATTERN} THEN MAX(value)
          ELSE CAST(SUM(value) AS bigint) END AS value
        FROM usage_counters WHERE ${between} GROUP BY ${columns} ORDER BY ${columns}`,
    );
    const groups = new Map<string, { readonly keys: Keys; readonly values: Map<string, number> }>();
    for (const { counter, value, ...keys } of rows) {
      const name = JSON.stringify(groupBy.map((key) => keys[key]));
      const group = groups.get(name) ?? { keys, values: new Map<string, number>() };
      group.values.set(counter, value);
      groups.set(name, group);
    }
    return {
      type: 'rows',
      rows: [...groups.values()].map(({ keys, values }) => usageRow(keys, values)),
    };
  }

  private async isTooMuch(groupBy: readonly UsageKey[], between: SqlPart): Promise<boolean> {
    const columns = raw(columnsOf(groupBy).join(', '));
    const { rows } = await this.database.read(
      (reader) => sql(reader)<{ count: number }>`
        SELECT CAST(COUNT(*) AS integer) AS count FROM (
          SELECT DISTINCT ${columns} FROM usage_counters WHERE ${between}
          LIMIT ${USAGE_LIMITS.rows + 1}) AS groups`,
    );
    return (rows[0]?.count ?? 0) > USAGE_LIMITS.rows;
  }
}

function columnsOf(groupBy: readonly UsageKey[]): readonly string[] {
  return groupBy.map((key) => COLUMNS[key]);
}
