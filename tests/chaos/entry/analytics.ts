import { runService } from '#libs/runtime';
import { analyticsService } from '../../../apps/analytics/src/service.js';
import { watch } from '../watch.js';

await runService(analyticsService, undefined, watch().options);
