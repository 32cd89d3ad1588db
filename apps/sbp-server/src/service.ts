import type { ServiceSpec, Settings } from '#libs/runtime';
import { analyticsService } from '../../analytics/src/service.js';
import { auditService } from '../../audit/src/service.js';
import { completionsService } from '../../completions/src/service.js';
import { gatewayService } from '../../gateway/src/service.js';
import { roamingService } from '../../roaming/src/service.js';
import { sessionsService } from '../../sessions/src/service.js';

/** All services in one process: the same modules, side by side [A1]. */
export function sbpServer(
  settings: Settings,
  services: readonly ServiceSpec[] = [
    completionsService(settings),
    sessionsService(settings),
    gatewayService(settings),
    roamingService(settings),
    auditService(),
    analyticsService(),
  ],
): ServiceSpec {
  return {
    name: 'sbp-server',
    reads: services.some((service) => service.reads),
    tables: {
      entities: services.flatMap(({ tables }) => tables?.entities ?? []),
      migrations: services.flatMap(({ tables }) => tables?.migrations ?? []),
    },
    modules: (components, publicUrl) =>
      services.flatMap((service) => service.modules(components, publicUrl)),
    prepare: (app) => {
      for (const service of services) service.prepare?.(app);
    },
    onMessage: (app) => {
      const handlers = services.flatMap((service) => service.onMessage?.(app) ?? []);
      return (message) => {
        for (const handle of handlers) handle(message);
      };
    },
  };
}
