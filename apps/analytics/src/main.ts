import { runService } from '#libs/runtime';
import { analyticsService } from './service.js';

await runService(analyticsService);
