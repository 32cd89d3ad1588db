import pg from 'pg';

/** One row of a table, as the database gives it. */
export type Row = Readonly<Record<string, unknown>>;

/** Asks a database by a connection of its own. */
export async function query(
  url: string | undefined,
  text: string,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}
