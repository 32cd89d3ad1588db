import type { IncomingMessage } from 'node:http';
import type { GatewayModuleOptions } from '#libs/gateway';
import { GatewayModule, SurfaceInbox, SurfaceWsAdapter } from '#libs/gateway';
import type { ServiceSpec, Settings } from '#libs/runtime';
import { foreignRequest } from '#libs/runtime';

/** The gateway: holds the surfaces' WebSockets. */
export function gatewayService(
  settings: Settings,
  options: Omit<GatewayModuleOptions, 'maxSessionSockets'> = {},
): ServiceSpec {
  return {
    name: 'gateway',
    reads: false,
    modules: () => [
      GatewayModule.register({
        ...options,
        maxSessionSockets: settings.limits.sessionSockets,
      }),
    ],
    prepare: (app) => {
      const accepts = ({ headers }: IncomingMessage): boolean =>
        foreignRequest(headers, settings) === null;
      app.useWebSocketAdapter(
        new SurfaceWsAdapter(app, { accepts, maxSockets: settings.limits.sockets }),
      );
    },
    onMessage: (app) => {
      const inbox = app.get(SurfaceInbox, { strict: false });
      return (message) => inbox.accept(message);
    },
  };
}
