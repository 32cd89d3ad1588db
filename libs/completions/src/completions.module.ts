import { Module } from '@nestjs/common';
import { CompletionsController } from './completions.controller.js';
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
 * Completions: needs, from a global module, EventLog, Mailbox, Claims, Processes, ProcessIdentity, Heartbeat, Freshness,
 * SessionReads, SessionTokens, ChatModel, PriceList, CompletionsSettings and CompletionsReporter.
 */
@Module({
  controllers: [CompletionsController],
  providers: [
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
})
export class CompletionsModule {}
