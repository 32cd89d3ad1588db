import { runService } from '#libs/runtime';
import { sessionsService } from '../../../apps/sessions/src/service.js';
import { watch } from '../watch.js';

await runService(sessionsService, undefined, watch().options);
