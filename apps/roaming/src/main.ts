import { runService } from '#libs/runtime';
import { roamingService } from './service.js';

await runService(roamingService);
