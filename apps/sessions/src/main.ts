import { runService } from '#libs/runtime';
import { sessionsService } from './service.js';

await runService(sessionsService);
