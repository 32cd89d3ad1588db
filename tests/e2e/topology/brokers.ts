import { Kafka, logLevel } from 'kafkajs';

/** Partitions of a topic of which one of its three brokers has no whole copy. */
export async function incompletePartitions(
  brokers: string,
  topic: string,
): Promise<readonly number[]> {
  const admin = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.NOTHING }).admin();
  try {
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const partitions = topics.flatMap((found) => found.partitions);
    return partitions.filter(({ isr }) => isr.length < 3).map(({ partitionId }) => partitionId);
  } finally {
    await admin.disconnect();
  }
}
