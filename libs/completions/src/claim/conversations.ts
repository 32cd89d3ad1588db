import type { AskedTurn, OpenSession, Reading } from '#libs/domain';
import { isAnswer, readMessages, startedTurns } from '#libs/domain';
import type { Message } from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { Transcript } from '#libs/store';
import { Transcripts, emptyTranscript, storedTranscript } from '#libs/store';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';

/** A stored conversation, and what a request is to it. */
export interface Conversation {
  readonly system: readonly Message[];
  /** What the model is told of where the conversation comes from. */
  readonly notes: readonly Message[];
  readonly transcript: Transcript;
  readonly reading: Reading;
}

/** Reads what a request's messages are to the conversation of a session. */
@Injectable()
export class Conversations {
  constructor(
    private readonly transcripts: Transcripts,
    private readonly options: CompletionsOptions,
  ) {}

  /** What a request begins. */
  begin({ messages, history }: AskedTurn): Conversation {
    const stored = storedTranscript(emptyTranscript, []);
    const reading = readMessages(stored, messages, { history, mayCut: true });
    return { system: [], notes: [], transcript: emptyTranscript, reading };
  }

  /**
   * `endedBefore`: how many turns had started and ended when the request arrived. An edit may not
   * cut a later one, because its caller was answered meanwhile. Null where somebody else has taken
   * the session since `state` was read.
   * @throws SbpError SBP_PAYLOAD_TOO_LARGE, before anything is loaded
   */
  async goOn(
    sessionId: string,
    state: OpenSession,
    asked: AskedTurn,
    endedBefore: number,
  ): Promise<Conversation | null> {
    this.mustFit(state, asked);
    const [transcript, system, notes] = await Promise.all([
      this.transcripts.loadUnlessChanged(sessionId, state),
      this.transcripts.system(sessionId, state),
      this.transcripts.notes(state),
    ]);
    if (transcript === null) return null;
    const { messages, history } = asked;
    const mayCut = startedTurns(state) <= endedBefore;
    const stored = storedTranscript(transcript, system);
    return {
      system,
      notes,
      transcript,
      reading: readMessages(stored, messages, { history, mayCut }),
    };
  }

  /**
   * Whether a request belongs to a session whose turns go on meanwhile; null where it changed while
   * it was read, so that it must be looked at again.
   * @throws SbpError as `goOn`
   */
  async belongs(sessionId: string, state: OpenSession, asked: AskedTurn): Promise<boolean | null> {
    const { messages, history } = asked;
    // Nothing has to be read for a client that sends only what is new.
    if (history === 'new' || (history === 'auto' && !messages.some(isAnswer))) return true;
    this.mustFit(state, asked);
    const transcript = await this.transcripts.loadUnlessChanged(sessionId, state);
    if (transcript === null) return null;
    const stored = storedTranscript(transcript, []);
    return readMessages(stored, messages, { history, mayCut: true }).belongs;
  }

  private mustFit({ bytes }: OpenSession, asked: AskedTurn): void {
    const { maxSessionBytes } = this.options;
    if (bytes + asked.bytes <= maxSessionBytes) return;
    throw new SbpError(
      'SBP_PAYLOAD_TOO_LARGE',
      `The conversation has ${bytes} bytes, and the request ${asked.bytes}; together they may ` +
        `have ${maxSessionBytes}. Go on in a new session.`,
      { param: 'messages' },
    );
  }
}
