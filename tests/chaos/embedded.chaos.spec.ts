import { startEmbedded } from '../../tools/chaos/index.js';
import { eachSecondStep, survivesEachStep } from './each-step.js';

// [SBP-L2-01] [SBP-L2-02] [SBP-L2-35]
survivesEachStep('the embedded server', eachSecondStep(0), (dataDir) => startEmbedded(dataDir));
