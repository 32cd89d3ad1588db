import { describe, expect, it } from 'vitest';
import { ClaimsInUse } from './claims-in-use.js';

const tried = (isHeld: boolean) => () => Promise.resolve({ outcome: 'done', isHeld });

describe('a turn whose claim is tried', () => {
  it('is looked after from then on if it was won, and not otherwise', async () => {
    const inUse = new ClaimsInUse();
    await inUse.during('won', tried(true));
    await inUse.during('lost', tried(false));
    expect([inUse.has('won'), inUse.has('lost')]).toEqual([true, false]);
  });

  it('is looked after while it is tried, and not where that fails', async () => {
    const inUse = new ClaimsInUse();
    const trying = inUse.during('turn', () => {
      expect(inUse.isForRun('turn')).toBe(true);
      return Promise.reject(new Error('the database is away'));
    });
    await expect(trying).rejects.toThrow();
    expect(inUse.has('turn')).toBe(false);
  });

  it('stays looked after where it runs already, though another try of it is refused', async () => {
    const inUse = new ClaimsInUse();
    await inUse.during('turn', tried(true));
    await inUse.during('turn', tried(false));
    expect(inUse.has('turn')).toBe(true);
    inUse.end('turn');
    expect(inUse.has('turn')).toBe(false);
  });
});
