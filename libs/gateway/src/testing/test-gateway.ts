import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { RequestLoad, SessionAccess } from '#libs/access';
import { Principals, SessionTokens, TrustedProxies } from '#libs/auth';
import { EventLog } from '#libs/event-log';
import { SessionLog } from '#libs/session-log';
import { Mailbox } from '#libs/mailbox';
import type { ProcessAddress } from '#libs/protocol';
import { Freshness, ProcessIdentity, SessionReads, SurfaceReads, ToolReads } from '#libs/store';
import { Metrics, NO_TRACING, Tracing } from '#libs/telemetry';
import type { TestBackend } from '#libs/testing';
import type { DynamicModule } from '@nestjs/common';
import { Controller, Get, Global, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { GatewayModule } from '../gateway.module.js';
import { SurfaceInbox } from '../attachment/surface-inbox.js';
import { SurfaceTimings } from '../surface-timings.js';
import { SurfaceWsAdapter } from '../socket/surface-ws-adapter.js';
import { Sweep } from '../sync/sweep.js';
import { TestSurface } from './test-surface.js';

/** Another module of the same application. */
@Controller()
class GreetingController {
  @Get('greeting')
  greet(): string {
    return 'hello';
  }

  @Post('greeting')
  answer(): string {
    return 'hello yourself';
  }
}

@Global()
@Module({})
class BackendModule {
  static of(backend: TestBackend, address: ProcessAddress, metrics: Metrics): DynamicModule {
    const providers = [
      { provide: EventLog, useValue: backend.log },
      { provide: SessionLog, useValue: backend.sessionLog },
      { provide: Mailbox, useValue: backend.mailbox },
      { provide: SurfaceReads, useValue: backend.surfaces },
      { provide: ToolReads, useValue: new ToolReads(backend.database) },
      { provide: SessionReads, useValue: backend.sessions },
      { provide: Freshness, useValue: backend.freshness },
      { provide: SessionTokens, useValue: backend.tokens },
      { provide: RequestLoad, useValue: new RequestLoad(1_000) },
      { provide: Principals, useValue: new Principals({ type: 'open' }) },
      { provide: TrustedProxies, useValue: new TrustedProxies([]) },
      { provide: ProcessIdentity, useValue: new ProcessIdentity(address) },
      { provide: Metrics, useValue: metrics },
      { provide: Tracing, useValue: NO_TRACING },
      SessionAccess,
    ];
    return { module: BackendModule, providers, exports: providers };
  }
}

@Module({})
class TestModule {}

/** Of one session, and of the gateway. */
export const MAX_SESSION_SOCKETS = 4;
export const MAX_SOCKETS = 20;

/** A gateway service in this process, on a port of its own. */
export class TestGateway {
  private constructor(
    private readonly app: NestFastifyApplication,
    readonly url: string,
    readonly address: ProcessAddress,
    private readonly metrics: Metrics,
  ) {}

  static async start(
    backend: TestBackend,
    timings: Partial<SurfaceTimings> = {},
  ): Promise<TestGateway> {
    const address = { slot: 0, incarnation: randomUUID() };
    const metrics = new Metrics();
    const module: DynamicModule = {
      module: TestModule,
      imports: [
        BackendModule.of(backend, address, metrics),
        GatewayModule.register({
          timings: new SurfaceTimings({ sweep: 3_600_000, ...timings }),
          maxSessionSockets: MAX_SESSION_SOCKETS,
        }),
      ],
      controllers: [GreetingController],
    };
    const options = { logger: false } as const;

    const app = await NestFactory.create<NestFastifyApplication>(
      module,
      new FastifyAdapter(),
      options,
    );
    const accepts = ({ headers }: IncomingMessage): boolean =>
      headers.origin !== 'http://evil.example';
    app.useWebSocketAdapter(new SurfaceWsAdapter(app, { accepts, maxSockets: MAX_SOCKETS }));
    const inbox = app.get(SurfaceInbox, { strict: false });
    await backend.mailbox.receive(address, (message) => {
      inbox.accept(message);
    });
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as unknown as Server).address() as AddressInfo;
    return new TestGateway(app, `http://127.0.0.1:${port}`, address, metrics);
  }

  /** Connects, and sends nothing. */
  connect(sessionId: string, options: { readonly autoPong?: boolean } = {}): Promise<TestSurface> {
    return TestSurface.connect(this.url, sessionId, options);
  }

  async sweep(): Promise<void> {
    await this.app.get(Sweep, { strict: false }).sweep();
  }

  /** What its metrics say, by their names. */
  async counts(): Promise<ReadonlyMap<string, number>> {
    const lines = (await this.metrics.text()).split('\n').filter((line) => /^sbp_/.test(line));
    return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
  }

  /** How many connections it has. */
  connections(): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const server = this.app.getHttpServer() as unknown as Server;
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    return promise;
  }

  async stop(): Promise<void> {
    await this.app.close();
  }
}
