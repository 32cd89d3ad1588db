import type { Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { TestingModule } from '@nestjs/testing';
import type { ChatModel } from '#libs/llm';
import {
  ChatModel as ChatModelPort,
  DEFAULT_DEMO_OPTIONS,
  DemoModel,
  ModelApi,
  ContextTokens,
  PriceList,
} from '#libs/llm';
import type { TestBackend } from '#libs/testing';
import { TestProcess } from '#libs/testing';
import { CompletionsInbox } from '../completions-inbox.js';
import { CompletionsModule } from '../completions.module.js';
import type { CompletionsOptions } from '../completions-options.js';
import { TurnService } from '../turn/turn-service.js';
import { TestCaller } from './test-caller.js';
import type { RequestDetails } from './test-request.js';
import { trackedRequest } from './test-request.js';

/** A part of the process that a test puts its own in the place of. */
interface Replacement {
  readonly part: Type | (abstract new (...parameters: never[]) => object);
  readonly by: (process: TestProcess) => object;
}

export interface CompletionsSetup {
  readonly model: ChatModel;
  readonly options?: Partial<CompletionsOptions>;
  readonly contextTokens?: Iterable<readonly [string, number]>;
  readonly replaced?: readonly Replacement[];
}

/** The service of completions in a process of its own, put together as Nest does it. */
export class TestCompletions {
  readonly adoptions: string[] = [];
  readonly problems: string[] = [];
  private nest: TestingModule | null = null;

  private constructor(readonly process: TestProcess) {}

  /** Put together, and nothing in it works by itself. */
  static async assemble(backend: TestBackend, setup: CompletionsSetup): Promise<TestCompletions> {
    const completions = new TestCompletions(await TestProcess.on(backend));
    const { process } = completions;
    const builder = Test.createTestingModule({
      imports: [
        process.module(
          { provide: ChatModelPort, useValue: setup.model },
          { provide: ModelApi, useValue: new DemoModel(DEFAULT_DEMO_OPTIONS) },
          { provide: PriceList, useValue: new PriceList([]) },
          { provide: ContextTokens, useValue: new ContextTokens(setup.contextTokens ?? []) },
        ),
        CompletionsModule.register(completions.options(setup.options)),
      ],
    });
    for (const { part, by } of setup.replaced ?? []) {
      builder.overrideProvider(part).useValue(by(process));
    }
    completions.nest = await builder.compile();
    const inbox = completions.get(CompletionsInbox);
    await backend.mailbox.receive(process.address, (message) => inbox.accept(message));
    return completions;
  }

  /** It looks for orphans from now on, and its heart beats. */
  static async start(backend: TestBackend, setup: CompletionsSetup): Promise<TestCompletions> {
    const completions = await TestCompletions.assemble(backend, setup);
    await completions.nest?.init();
    completions.process.heartbeat.start();
    return completions;
  }

  get<T extends object>(part: Type<T> | (abstract new (...parameters: never[]) => T)): T {
    if (this.nest === null) throw new Error('it has not started');
    return this.nest.get<T>(part, { strict: false });
  }

  /** Runs one request, and answers it. */
  async turn(details: RequestDetails = {}, caller = new TestCaller()): Promise<TestCaller> {
    await this.get(TurnService).run(trackedRequest(details), caller);
    return caller;
  }

  /** Hands its turns over; its heart still beats. */
  async close(): Promise<void> {
    await this.nest?.close();
    this.nest = null;
  }

  /** Ends it as the program does: when all is handed over it says that it has left. */
  async stop(): Promise<void> {
    await this.close();
    await this.process.heartbeat.leave();
  }

  private options(given: Partial<CompletionsOptions> = {}): CompletionsOptions {
    return {
      track: 'opt-in',
      implicitSession: true,
      othersDead: false,
      maxSessionBytes: 1_000_000,
      maxTurns: 1_000,
      maxPrincipalTurns: null,
      maxBytes: 1_000_000_000,
      maxTokensField: 'max_tokens',
      maxToolRounds: 16,
      takesImages: () => true,
      drainMs: 0,
      onProblem: (what, error) => void this.problems.push(`${what}: ${String(error)}`),
      onModelFault: () => undefined,
      onTurnEnded: () => undefined,
      onAdopted: (_sessionId, turnId) => void this.adoptions.push(turnId),
      ...given,
    };
  }
}
