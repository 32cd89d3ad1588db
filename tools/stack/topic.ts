import { turnsTopic } from '#libs/event-log/kafka';
import { createTopic } from '#libs/kafka';

export interface TurnsTopic {
  readonly brokers: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly replication: number;
  readonly minIsr: number;
}

/** Creates the topic of the log, which is kept for ever, unless it is there. */
export async function createTurnsTopic({ brokers, minIsr, ...options }: TurnsTopic): Promise<void> {
  const kafka = { brokers: brokers.split(','), clientId: 'stack', onProblem: () => undefined };
  await createTopic(kafka, turnsTopic({ ...options, minInsyncReplicas: minIsr }));
}
