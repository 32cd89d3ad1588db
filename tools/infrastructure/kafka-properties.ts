/** One broker of a cluster, as its `server.properties` needs it. */
export interface BrokerAddress {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
}

/**
 * Settings for brokers on one machine: small, on loopback only, with quick failover, and with
 * internal topics that are replicated where there is more than one broker.
 */
export function brokerProperties(
  broker: BrokerAddress,
  cluster: readonly BrokerAddress[],
  logDir: string,
): string {
  const replication = Math.min(cluster.length, 3);
  const minIsr = Math.max(replication - 1, 1);
  return toProperties({
    'process.roles': 'broker,controller',
    'node.id': broker.id,
    'controller.quorum.voters': cluster
      .map((each) => `${each.id}@127.0.0.1:${each.controllerPort}`)
      .join(','),
    listeners: `PLAINTEXT://127.0.0.1:${broker.port},CONTROLLER://127.0.0.1:${broker.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${broker.port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': logDir,
    'auto.create.topics.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': replication,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': replication,
    'transaction.state.log.min.isr': minIsr,
    'share.coordinator.state.topic.replication.factor': replication,
    'share.coordinator.state.topic.min.isr': minIsr,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.election.timeout.ms': 500,
    'controller.quorum.fetch.timeout.ms': 1000,
  });
}

/** Warnings and errors to standard output, which the supervisor writes to the broker's log. */
export const LOGGING_PROPERTIES = toProperties({
  'appender.stdout.type': 'Console',
  'appender.stdout.name': 'stdout',
  'appender.stdout.layout.type': 'PatternLayout',
  'appender.stdout.layout.pattern': '%d{ISO8601} %p %c{1}: %m%n',
  'rootLogger.level': 'WARN',
  'rootLogger.appenderRef.stdout.ref': 'stdout',
});

function toProperties(values: Readonly<Record<string, string | number | boolean>>): string {
  return `${Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n`;
}
