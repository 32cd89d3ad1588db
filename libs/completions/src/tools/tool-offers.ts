import type { SessionState } from '#libs/domain';
import { AttachedTools } from '#libs/tools';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import type { Offer } from './offer.js';
import { offerOf } from './offer.js';

/** What models are offered: in each round anew, from the surface that is there then. */
@Injectable()
export class ToolOffers {
  constructor(
    private readonly tools: AttachedTools,
    private readonly options: CompletionsOptions,
  ) {}

  /** `round`: from 1. `state`: the session as it is now. */
  async of(
    { sessionId, request }: TurnAttempt,
    round: number,
    state: SessionState,
  ): Promise<Offer> {
    const surface = await this.tools.of(sessionId, state);
    const isLast = round > this.options.maxToolRounds;
    return offerOf(request.options, surface, { round, isLast });
  }
}
