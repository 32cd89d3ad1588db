import { runService } from '#libs/runtime';
import { analyticsService } from '../../../apps/analytics/src/service.js';
import { auditService } from '../../../apps/audit/src/service.js';
import { completionsService } from '../../../apps/completions/src/service.js';
import { gatewayService } from '../../../apps/gateway/src/service.js';
import { roamingService } from '../../../apps/roaming/src/service.js';
import { sbpServer } from '../../../apps/sbp-server/src/service.js';
import { sessionsService } from '../../../apps/sessions/src/service.js';
import { watch } from '../watch.js';

const { options, sockets } = watch();
await runService(
  (settings) =>
    sbpServer(settings, [
      completionsService(settings),
      sessionsService(settings),
      gatewayService(settings, { sockets }),
      roamingService(settings),
      auditService(),
      analyticsService(),
    ]),
  undefined,
  options,
);
