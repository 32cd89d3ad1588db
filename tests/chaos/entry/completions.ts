import { runService } from '#libs/runtime';
import { completionsService } from '../../../apps/completions/src/service.js';
import { watch } from '../watch.js';

await runService(completionsService, undefined, watch().options);
