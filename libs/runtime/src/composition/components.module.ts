import type { DynamicModule, OnApplicationShutdown, Provider } from '@nestjs/common';
import { Global, Inject, Module } from '@nestjs/common';
import { SessionAccess } from '#libs/access';
import { RoamingTokens, SessionTokens } from '#libs/auth';
import { EventLog } from '#libs/event-log';
import { ChatModel, PriceList } from '#libs/llm';
import { Mailbox } from '#libs/mailbox';
import { SessionLog } from '#libs/session-log';
import { Database } from '#libs/sql';
import {
  Claims,
  Freshness,
  Heartbeat,
  Orphans,
  ProcessIdentity,
  Processes,
  Projection,
  SessionReads,
  SurfaceReads,
  Transcripts,
  UnconfirmedAnswers,
} from '#libs/store';
import type { Components } from './components.js';

const COMPONENTS = Symbol('components');

/** Gives the services what they share. It closes last, after every service has let go. */
@Global()
@Module({})
export class ComponentsModule implements OnApplicationShutdown {
  constructor(@Inject(COMPONENTS) private readonly components: Components) {}

  static register(components: Components): DynamicModule {
    const { presence } = components;
    const present: Provider[] =
      presence === null
        ? []
        : [
            { provide: ProcessIdentity, useValue: presence.identity },
            { provide: Heartbeat, useValue: presence.heartbeat },
          ];
    const providers: Provider[] = [
      { provide: EventLog, useValue: components.log },
      { provide: Database, useValue: components.storage.database },
      { provide: Mailbox, useValue: components.storage.mailbox },
      { provide: Claims, useValue: components.claims },
      { provide: Orphans, useValue: components.orphans },
      { provide: UnconfirmedAnswers, useValue: components.unconfirmed },
      { provide: Transcripts, useValue: components.transcripts },
      { provide: Processes, useValue: components.processes },
      { provide: Projection, useValue: components.projection },
      { provide: Freshness, useValue: components.freshness },
      { provide: SessionReads, useValue: components.sessionReads },
      { provide: SurfaceReads, useValue: components.surfaceReads },
      { provide: SessionTokens, useValue: components.sessionTokens },
      { provide: RoamingTokens, useValue: components.roamingTokens },
      { provide: ChatModel, useValue: components.model },
      { provide: PriceList, useValue: components.prices },
      SessionAccess,
      SessionLog,
      ...present,
    ];
    return {
      module: ComponentsModule,
      providers: [{ provide: COMPONENTS, useValue: components }, ...providers],
      exports: providers,
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.components.close();
  }
}
