import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { CompletionsController } from './completions.controller.js';
import { CompletionsOptions } from './completions-options.js';
import { LiveTurns } from './live-turns.js';
import { ModelAnswerReader } from './model-answer.js';
import { OrphanScan } from './orphan-scan.js';
import { PassThrough } from './pass-through.js';
import { RequestReader } from './request-reader.js';
import { SessionReleases } from './session-releases.js';
import { SessionResolver } from './session-resolver.js';
import { TurnClaimer } from './turn-claimer.js';
import { TurnFacts } from './turn-facts.js';
import { TurnRunner } from './turn-runner.js';
import { TurnService } from './turn-service.js';

/**
 * Completions. From global modules it takes EventLog, Mailbox, Claims, Processes, ProcessIdentity, Heartbeat, Freshness,
 * SessionReads, SessionAccess, SessionTokens, ChatModel and PriceList. Whoever holds the process' mailbox passes its messages
 * to `LiveTurns`.
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
