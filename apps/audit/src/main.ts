import { runService } from '#libs/runtime';
import { auditService } from './service.js';

await runService(auditService);
