import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { LiveTurns } from '#libs/live';
import { Metrics, TurnMetrics } from '#libs/telemetry';
import { AttachedTools, CallWatch, SessionPokes } from '#libs/tools';
import { LostAnswers } from './adoption/lost-answers.js';
import { OrphanScan } from './adoption/orphan-scan.js';
import { Admission } from './claim/admission.js';
import { Probes } from './claim/probes.js';
import { Resumption } from './claim/resumption.js';
import { Conversations } from './claim/conversations.js';
import { SessionResolver } from './claim/session-resolver.js';
import { TurnClaimer } from './claim/turn-claimer.js';
import { CompletionsInbox } from './completions-inbox.js';
import { CompletionsOptions } from './completions-options.js';
import { CompletionsController } from './http/completions.controller.js';
import { ApprovalsController } from './http/approvals.controller.js';
import { CancelController } from './http/cancel.controller.js';
import { ModelApiController } from './http/model-api.controller.js';
import { JoinedAnswers } from './http/joined-answers.js';
import { PassThrough } from './http/pass-through.js';
import { RequestReader } from './http/request-reader.js';
import { TurnAnswer } from './http/turn-answer.js';
import { TurnStreamController } from './http/turn-stream.controller.js';
import { TurnFollowers } from './http/turn-followers.js';
import { Interruption } from './queue/interruption.js';
import { TurnQueue } from './queue/turn-queue.js';
import { WaitingTurns } from './queue/waiting-turns.js';
import { Repeats } from './repeats/repeats.js';
import { TurnBurner } from './repeats/turn-burner.js';
import { ContextWindow } from './model/context-window.js';
import { ModelAnswerReader } from './model/model-answer.js';
import { Approvals } from './tools/approvals.js';
import { ParkedTurns } from './tools/parked-turns.js';
import { ToolOffers } from './tools/tool-offers.js';
import { ToolRounds } from './tools/tool-rounds.js';
import { Shutdown } from './shutdown.js';
import { Cancellation } from './turn/cancellation.js';
import { RunStops } from './turn/run-stops.js';
import { RunningTurns } from './turn/running-turns.js';
import { TurnObserver } from './turn/turn-observer.js';
import { TurnEvents } from './turn/turn-events.js';
import { TurnRunner } from './turn/turn-runner.js';
import { TurnService } from './turn/turn-service.js';
import { Verdict } from './turn/verdict.js';

/**
 * Completions. From global modules it takes EventLog, SessionLog, Mailbox, ChatModel, ModelApi,
 * ContextTokens, PriceList, SessionAccess, SessionTokens, Metrics, Tracing and the store's parts.
 * Whoever holds the process's mailbox passes its messages to `CompletionsInbox`.
 */
@Module({})
export class CompletionsModule {
  static register(options: CompletionsOptions): DynamicModule {
    return {
      module: CompletionsModule,
      controllers: [
        CompletionsController,
        ApprovalsController,
        CancelController,
        TurnStreamController,
        ModelApiController,
      ],
      providers: [
        { provide: CompletionsOptions, useValue: options },
        {
          provide: TurnMetrics,
          useFactory: (metrics: Metrics) => new TurnMetrics(metrics),
          inject: [Metrics],
        },
        Admission,
        Approvals,
        AttachedTools,
        CallWatch,
        Cancellation,
        CompletionsInbox,
        ContextWindow,
        Conversations,
        Interruption,
        JoinedAnswers,
        LiveTurns,
        LostAnswers,
        ModelAnswerReader,
        OrphanScan,
        ParkedTurns,
        PassThrough,
        Probes,
        Repeats,
        RequestReader,
        Resumption,
        RunStops,
        RunningTurns,
        SessionPokes,
        SessionResolver,
        Shutdown,
        ToolOffers,
        ToolRounds,
        TurnAnswer,
        TurnBurner,
        TurnClaimer,
        TurnEvents,
        TurnObserver,
        TurnQueue,
        TurnRunner,
        TurnService,
        TurnFollowers,
        Verdict,
        WaitingTurns,
      ],
      exports: [CompletionsInbox],
    };
  }
}
