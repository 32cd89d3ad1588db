import { runService } from '#libs/runtime';
import { gatewayService } from '../../../apps/gateway/src/service.js';
import { watch } from '../watch.js';

const { options, sockets } = watch();
await runService((settings) => gatewayService(settings, { sockets }), undefined, options);
