import { afterAll, beforeAll, describe } from 'vitest';
import { describeAppending } from './contract/appending.contract.js';
import { describeConcurrentReading } from './contract/concurrent-reading.contract.js';
import { LogFixture } from './contract/log-fixture.contract.js';
import type { LogUnderTest } from './contract/log-fixture.contract.js';
import { describeReading } from './contract/reading.contract.js';
import { describeSubscribing } from './contract/subscribing.contract.js';

export type { LogUnderTest } from './contract/log-fixture.contract.js';

/**
 * What every adapter of `EventLog` promises. Each test has sessions and consumers of its own, so
 * the log may be shared.
 */
export function describeEventLog(name: string, makeLog: () => Promise<LogUnderTest>): void {
  describe(`event log: ${name}`, () => {
    const log = new LogFixture();

    beforeAll(() => log.open(makeLog));
    afterAll(() => log.current.close());

    describeAppending(log);
    describeReading(log);
    describeSubscribing(log);
    describeConcurrentReading(log);
  });
}
