import { createTopic } from '#libs/kafka';
import { LIMITS } from '#libs/protocol';

export interface TurnsTopic {
  readonly brokers: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly replication: number;
  readonly minIsr: number;
}

/** Creates the topic of the log, which is kept for ever, unless it is there. */
export async function createTurnsTopic({
  brokers,
  prefix,
  partitions,
  replication,
  minIsr,
}: TurnsTopic): Promise<void> {
  await createTopic(
    { brokers: brokers.split(','), clientId: 'stack', onProblem: () => undefined },
    {
      topic: `${prefix}.turns`,
      partitions,
      replication,
      config: {
        'retention.ms': '-1',
        'cleanup.policy': 'delete',
        'max.message.bytes': String(LIMITS.logRecord),
        'min.insync.replicas': String(minIsr),
      },
    },
  );
}
