import { runService } from '#libs/runtime';
import { auditService } from '../../../apps/audit/src/service.js';
import { watch } from '../watch.js';

await runService(auditService, undefined, watch().options);
