import { describe, expect, it } from 'vitest';
import { Continuity } from './continuity.js';
import { HEARTBEAT_MS, LEASE_MS } from './processes.js';

function beating(from: number, to: number): Continuity {
  const continuity = new Continuity();
  for (let now = from; now <= to; now += HEARTBEAT_MS) continuity.answered(now);
  return continuity;
}

describe('continuity [A6]', () => {
  it('holds once the database has answered without a break for one lease', () => {
    expect(beating(0, LEASE_MS - HEARTBEAT_MS).holds(LEASE_MS - 1)).toBe(false);
    expect(beating(0, LEASE_MS).holds(LEASE_MS)).toBe(true);
  });

  it('does not hold before any answer', () => {
    expect(new Continuity().holds(LEASE_MS * 10)).toBe(false);
  });

  it('begins anew after a failure', () => {
    const continuity = beating(0, LEASE_MS);
    continuity.failed();
    expect(continuity.holds(LEASE_MS)).toBe(false);
    continuity.answered(LEASE_MS + 1);
    expect(continuity.holds(LEASE_MS + HEARTBEAT_MS)).toBe(false);
  });

  it('begins anew after a pause of the process, and does not hold during one', () => {
    const continuity = beating(0, LEASE_MS);
    const later = LEASE_MS + 10 * HEARTBEAT_MS;
    expect(continuity.holds(later)).toBe(false);
    continuity.answered(later);
    expect(continuity.holds(later)).toBe(false);
  });
});
