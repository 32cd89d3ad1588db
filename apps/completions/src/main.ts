import { runService } from '#libs/runtime';
import { completionsService } from './service.js';

await runService(completionsService);
