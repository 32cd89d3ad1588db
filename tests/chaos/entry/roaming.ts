import { runService } from '#libs/runtime';
import { roamingService } from '../../../apps/roaming/src/service.js';
import { watch } from '../watch.js';

await runService(roamingService, undefined, watch().options);
