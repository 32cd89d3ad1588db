import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import type { PartitionMetadata } from 'kafkajs';
import { expect, it } from 'vitest';
import { partitionOfKey } from './partition-of-key.js';

it('gives every key the partition that the default partitioner gives it', () => {
  const partitioner = Partitioners.DefaultPartitioner();
  const check = fc.property(
    fc.oneof(fc.uuid(), fc.string({ unit: 'binary' })),
    fc.integer({ min: 1, max: 200 }),
    (key, partitions) => {
      const partitionMetadata = Array.from(
        { length: partitions },
        (_, partitionId): PartitionMetadata => ({
          partitionId,
          leader: 1,
          partitionErrorCode: 0,
          replicas: [],
          isr: [],
        }),
      );
      const chosen = partitioner({ topic: 't', partitionMetadata, message: { key, value: null } });
      expect(partitionOfKey(key, partitions)).toBe(chosen);
    },
  );
  fc.assert(check, { numRuns: 2000 });
});
