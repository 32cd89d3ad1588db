import BrokerPool from 'kafkajs/src/cluster/brokerPool.js';
import Cluster from 'kafkajs/src/cluster/index.js';
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import metadataResponse from 'kafkajs/src/protocol/requests/metadata/v6/response.js';
import { pause } from '#libs/timing';

/** Kafka's codes of a partition that has no leader now, or none that this client can reach. */
const LEADERLESS = new Set([5, 9, 72]);
/** How soon metadata that names a partition without a leader is asked for again, in ms. */
const LEADER_AWAITED_MS = 1000;
/** Between two fetches, in ms, from a broker that cannot be reached. */
const ABSENT_BROKER_MS = 200;
/** What kafkajs takes for an offset that is not known yet. */
const UNKNOWN_OFFSET = '-1';

let patched = false;

/** Repairs kafkajs 2.2.4, once per process. */
export function patchKafkajs(): void {
  if (patched) return;
  patched = true;
  stopIdleTimers();
  surviveLeaderlessPartitions();
  surviveAbsentBrokers();
}

/**
 * Each answer armed a timer, with a negative delay on a connection that is not throttled: a 1 ms
 * loop, and on newer versions of Node a warning each time.
 */
function stopIdleTimers(): void {
  const schedule = methodOf(RequestQueue.prototype, 'scheduleCheckPendingRequests');
  RequestQueue.prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length === 0 && this.throttledUntil <= Date.now()) return;
    schedule.call(this);
  };
}

/**
 * One partition without a leader made the whole topic's metadata an error, so that no client could
 * write or read the other partitions. Now such a partition is there with the leader -1, it is left
 * out where partitions are sorted by their leaders, and metadata that names one is soon asked for
 * again.
 */
function surviveLeaderlessPartitions(): void {
  const parse = metadataResponse.parse.bind(metadataResponse);
  metadataResponse.parse = async (answer) => {
    for (const topic of answer.topicMetadata) {
      for (const partition of topic.partitionMetadata) {
        if (!LEADERLESS.has(partition.partitionErrorCode)) continue;
        partition.partitionErrorCode = 0;
        partition.leader = -1;
      }
    }
    return await parse(answer);
  };

  const refresh = methodOf(BrokerPool.prototype, 'refreshMetadata');
  BrokerPool.prototype.refreshMetadata = async function (topics) {
    await refresh.call(this, topics);
    const partitions = this.metadata?.topicMetadata.flatMap((topic) => topic.partitionMetadata);
    if (partitions?.some(({ leader }) => leader === -1) === true)
      this.metadataExpireAt = Date.now() + LEADER_AWAITED_MS;
  };

  const byLeader = methodOf(Cluster.prototype, 'findLeaderForPartitions');
  Cluster.prototype.findLeaderForPartitions = function (topic, partitions) {
    const leaders = Object.entries(byLeader.call(this, topic, partitions));
    return Object.fromEntries(leaders.filter(([leader]) => leader !== '-1'));
  };

  const fetchOffsets = methodOf(Cluster.prototype, 'fetchTopicsOffset');
  Cluster.prototype.fetchTopicsOffset = async function (topics) {
    const found = await fetchOffsets.call(this, topics);
    return topics.map(({ topic, partitions }) => {
      const known = found.find((each) => each.topic === topic)?.partitions ?? [];
      const missing = partitions
        .filter(({ partition }) => !known.some((each) => each.partition === partition))
        .map(({ partition }) => ({ partition, offset: UNKNOWN_OFFSET }));
      return { topic, partitions: [...known, ...missing] };
    });
  };
}

/**
 * A broker that refuses connections, but is in the metadata still, ended the fetches from all
 * brokers. Now only the fetches from it pause; kafkajs has asked for new metadata by then.
 */
function surviveAbsentBrokers(): void {
  const recover = methodOf(ConsumerGroup.prototype, 'recoverFromFetch');
  ConsumerGroup.prototype.recoverFromFetch = async function (error) {
    if (error.name === 'KafkaJSConnectionError') await pause(ABSENT_BROKER_MS);
    else await recover.call(this, error);
  };
}

/** The original method, to be called with a `this`. */
function methodOf<T, K extends keyof T>(prototype: T, name: K): T[K] {
  return prototype[name];
}
