import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DIALECTS, openTestStore } from '#libs/store/testing';
import type { TestStore } from '#libs/store/testing';

describe.each(DIALECTS)('the schema on %s', (dialect) => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore(dialect);
  });
  afterAll(() => store.close());

  async function pendingChanges(): Promise<readonly string[]> {
    return store.database.write(async ({ dataSource }) => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      return upQueries.map(({ query }) => query);
    });
  }

  it('is, after the migrations, what the entities say', async () => {
    expect(await pendingChanges()).toEqual([]);
  });

  it('is the same again after everything was dropped and made anew', async () => {
    await store.database.dropAll([]);
    await store.database.migrate();
    expect(await pendingChanges()).toEqual([]);
    expect(await store.rows('sessions')).toEqual([]);
  });
});
