import type { ClientOptions } from 'ws';
import { SurfaceClient, surfaceUrl } from '#libs/testing';
import { WebSocket } from 'ws';

/** A surface of a gateway that runs in the test's own process. */
export class TestSurface extends SurfaceClient {
  readonly closed = this.ended;

  static connect(
    gatewayUrl: string,
    sessionId: string,
    options: ClientOptions,
  ): Promise<TestSurface> {
    return new TestSurface(new WebSocket(surfaceUrl(gatewayUrl, sessionId), options)).opened();
  }

  attach(sessionId: string, sessionToken: string, context?: unknown): void {
    this.askToAttach(sessionId, sessionToken, context);
  }
}
