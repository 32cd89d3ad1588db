/** What one bench found. */
export interface Report {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** One JSON line each. */
  readonly results: readonly Readonly<Record<string, unknown>>[];
  readonly aims: readonly Aim[];
}

export interface Aim {
  readonly what: string;
  readonly got: number;
  readonly comparison: '≤' | '≥';
  readonly aim: number;
  readonly unit: '×' | '%' | 's' | 'ms' | 'MiB' | 'ms of CPU a second';
}

function isMet({ got, comparison, aim }: Aim): boolean {
  return comparison === '≤' ? got <= aim : got >= aim;
}

/** A table, the aims, then the results for programs. */
export function print(bench: string, report: Report, write: (text: string) => void): void {
  const { title, columns, rows, results, aims } = report;
  write(`\n${title}\n${table([columns, ...rows])}`);
  for (const aim of aims) {
    const { what, got, comparison, unit } = aim;
    write(
      `${isMet(aim) ? '✓' : '✗'} ${what}: ${digits(got)} ${unit} (aim ${comparison} ${aim.aim} ${unit})\n`,
    );
  }
  for (const result of results) write(`${JSON.stringify({ bench, ...result })}\n`);
  for (const aim of aims) {
    const { what, got, comparison, unit } = aim;
    write(
      `${JSON.stringify({ bench, aim: what, got: rounded(got), comparison, limit: aim.aim, unit, met: isMet(aim) })}\n`,
    );
  }
}

/** Three significant digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const places = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(places);
}

export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ');
  return rows.map((row) => `  ${line(row)}\n`).join('');
}
