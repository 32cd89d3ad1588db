import { inject } from 'vitest';
import { startServices } from '../../tools/chaos/index.js';
import { eachSecondStep, survivesEachStep } from './each-step.js';

// [SBP-L2-01] [SBP-L2-02] [SBP-L2-25] [SBP-L2-35]
survivesEachStep('the stack', eachSecondStep(1), (dataDir) =>
  startServices(dataDir, {
    kafkaBrokers: inject('SBP_TEST_KAFKA_BROKERS'),
    postgresUrl: inject('SBP_TEST_POSTGRES_URL'),
  }),
);
