import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { CompletionsController } from './http/completions.controller.js';
import { CompletionsOptions } from './completions-options.js';
import { LiveTurns } from '#libs/live';
import { ModelAnswerReader } from './model/model-answer.js';
import { OrphanScan } from './adoption/orphan-scan.js';
import { PassThrough } from './http/pass-through.js';
import { RequestReader } from './http/request-reader.js';
import { SessionReleases } from './claim/session-releases.js';
import { SessionResolver } from './claim/session-resolver.js';
import { TurnClaimer } from './claim/turn-claimer.js';
import { TurnFacts } from './turn/turn-facts.js';
import { TurnRunner } from './turn/turn-runner.js';
import { TurnService } from './turn/turn-service.js';

/**
 * Completions. From global modules it takes EventLog, Mailbox, Claims, Processes, ProcessIdentity,
 * Heartbeat, Freshness, SessionReads, SessionAccess, SessionTokens, ChatModel and PriceList.
 * Whoever holds the process' mailbox passes its messages to `LiveTurns`.
 */
@Module({})
export class CompletionsModule {
  static register(options: CompletionsOptions): DynamicModule {
    return {
      module: CompletionsModule,
      controllers: [CompletionsController],
      providers: [
        { provide: CompletionsOptions, useValue: options },
        LiveTurns,
        ModelAnswerReader,
        OrphanScan,
        PassThrough,
        RequestReader,
        SessionReleases,
        SessionResolver,
        TurnClaimer,
        TurnFacts,
        TurnRunner,
        TurnService,
      ],
      exports: [LiveTurns],
    };
  }
}
