import { STEP_NAMES, startEmbedded } from '../../tools/chaos/index.js';
import { survivesEachStep } from './each-step.js';

/** Each second one takes half of the time: `npm run chaos` hits all, here as on the stack. */
const STEPS = STEP_NAMES.filter((_, at) => at % 2 === 0);

// [SBP-L2-01] [SBP-L2-02] [SBP-L2-35]
survivesEachStep('the embedded server', STEPS, (dataDir) => startEmbedded(dataDir));
