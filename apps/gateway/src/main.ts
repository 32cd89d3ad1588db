import { runService } from '#libs/runtime';
import { gatewayService } from './service.js';

await runService((settings) => gatewayService(settings));
