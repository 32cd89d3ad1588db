/**
 * Parts of kafkajs that it does not export; `kafkajs-patches.ts` repairs them. Checked against
 * 2.2.4.
 */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    readonly throttledUntil: number;
    scheduleCheckPendingRequests(): void;
  }
}

declare module 'kafkajs/src/cluster/brokerPool.js' {
  import type { PartitionMetadata } from 'kafkajs';

  export default class BrokerPool {
    readonly metadata: {
      readonly topicMetadata: readonly {
        readonly partitionMetadata: readonly PartitionMetadata[];
      }[];
    } | null;
    /** When it is asked for again, in ms since 1970. */
    metadataExpireAt: number | null;
    refreshMetadata(topics: readonly string[]): Promise<void>;
  }
}

declare module 'kafkajs/src/consumer/consumerGroup.js' {
  export default class ConsumerGroup {
    /** Called when a fetch from one broker failed; a rejection ends the fetches from all. */
    recoverFromFetch(error: Error): Promise<void>;
  }
}

declare module 'kafkajs/src/cluster/index.js' {
  import type { Cluster as PublicCluster } from 'kafkajs';

  export default class Cluster {
    fetchTopicsOffset: PublicCluster['fetchTopicsOffset'];
    /** By the leader's id, the partitions that it leads. */
    findLeaderForPartitions(
      topic: string,
      partitions: readonly (number | string)[],
    ): Record<string, number[]>;
  }
}

declare module 'kafkajs/src/protocol/requests/metadata/v6/response.js' {
  import type { PartitionMetadata } from 'kafkajs';

  interface Answer {
    readonly topicMetadata: readonly {
      readonly partitionMetadata: readonly (PartitionMetadata & { partitionErrorCode: number })[];
    }[];
  }
  /** Version 6 is the newest that kafkajs speaks; every broker from Kafka 2.0 on takes it. */
  const response: { parse(answer: Answer): Promise<Answer> };
  export default response;
}
