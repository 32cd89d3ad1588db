import { startEmbedded } from '../../tools/chaos/index.js';
import { survivesEachStep } from './each-step.js';

// [SBP-L2-01] [SBP-L2-02] [SBP-L2-35]
survivesEachStep('the embedded server', (dataDir) => startEmbedded(dataDir));
