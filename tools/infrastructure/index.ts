export { findChromium } from './chromium.js';
export { freePort } from './free-port.js';
export { startKafka } from './kafka.js';
export type { KafkaCluster, KafkaOptions } from './kafka.js';
export { MissingProgramError } from './missing-program.js';
export { findNginx } from './nginx.js';
export { createDatabase, startPostgres } from './postgres.js';
export type { Postgres, PostgresOptions } from './postgres.js';
export { pythonWith } from './python.js';
