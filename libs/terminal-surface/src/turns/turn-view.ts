import type { ServerFrame } from '#libs/protocol';
import { shortLine } from '../terminal/plain-text.js';

/** Something to print: a line of the surface's own, or a piece of what the model says. */
export interface Shown {
  readonly type: 'notice' | 'text';
  readonly text: string;
}

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { readonly type: T }>;

/** The turn that is being made, as far as it was shown. */
interface LiveTurn {
  readonly turnId: string;
  readonly chunkId: string;
  readonly text: string;
  /** Code points of the text. */
  readonly length: number;
}

const LONGEST_INPUT = 300;

/**
 * Says what each frame adds to what the person has seen. It outlives connections, after which
 * frames may come again, so that nothing is shown twice: a turn is known by its `seq`, and a piece
 * of a live one by its attempt and offset.
 */
export class TurnView {
  private lastSeq = 0;
  private live: LiveTurn | null = null;

  show(frame: ServerFrame): readonly Shown[] {
    switch (frame.type) {
      case 'SESSION_ATTACHED':
        return [notice(attachedText(frame))];
      case 'TETHER_TURN':
        return this.whole(frame);
      case 'TURN_CHUNK':
        return this.chunk(frame);
      case 'TURN_COMPLETE':
        return this.complete(frame);
      case 'TOOL_CALL': {
        const input = shortLine(JSON.stringify(frame.tool_input), LONGEST_INPUT);
        return [notice(`-- The model calls ${shortLine(frame.tool_name, 64)} ${input}`)];
      }
      case 'FORBIDDEN':
      case 'SESSION_NOT_FOUND':
      case 'PROTOCOL_ERROR':
        return [notice(`-- ${frame.detail}`)];
      case 'PING':
        return [];
    }
  }

  private whole(frame: FrameOf<'TETHER_TURN'>): readonly Shown[] {
    const { seq, turn_id: turnId, content, tool_calls: calls = [] } = frame;
    if (seq <= this.lastSeq) return [];
    const seen = this.live?.turnId === turnId ? this.live.text : '';
    const goesOn = seen !== '' && content.startsWith(seen);
    const called =
      calls.length > 0 ? [notice(`-- It ends with calls of ${calls.join(', ')}.`)] : [];
    return [
      ...(goesOn ? [] : [notice(seen === '' ? `Turn ${seq}:` : '-- The text begins anew:')]),
      ...text(goesOn ? content.slice(seen.length) : content),
      ...called,
      ...this.end(frame),
    ];
  }

  private chunk({ chunk_id, turn_id, delta, offset }: FrameOf<'TURN_CHUNK'>): readonly Shown[] {
    const points = Array.from(delta);
    const before = this.live;
    if (before?.chunkId === chunk_id) {
      const isNew = points.slice(Math.max(0, before.length - offset));
      this.live = {
        ...before,
        text: before.text + isNew.join(''),
        length: before.length + isNew.length,
      };
      return text(isNew.join(''));
    }
    const isRepeated = before?.turnId === turn_id && before.length > 0;
    this.live = { turnId: turn_id, chunkId: chunk_id, text: delta, length: points.length };
    return [
      notice(isRepeated ? '-- The turn is made again; the text begins anew:' : 'The model:'),
      ...text(delta),
    ];
  }

  private complete(frame: FrameOf<'TURN_COMPLETE'>): readonly Shown[] {
    return frame.seq <= this.lastSeq ? [] : this.end(frame);
  }

  private end({
    seq,
    status,
    error,
  }: FrameOf<'TETHER_TURN'> | FrameOf<'TURN_COMPLETE'>): readonly Shown[] {
    this.lastSeq = seq;
    this.live = null;
    if (status === 'completed') return text('\n');
    const why = error === undefined ? '' : `: ${error.message} (${error.code})`;
    return [notice(`-- The turn was ${status === 'failed' ? 'not completed' : 'cancelled'}${why}`)];
  }
}

function attachedText({ queued_turns, mcp_tools_registered }: FrameOf<'SESSION_ATTACHED'>): string {
  const waited =
    queued_turns === 0
      ? 'nothing waited'
      : queued_turns === 1
        ? '1 turn waited'
        : `${queued_turns} turns waited`;
  const tools = mcp_tools_registered.length === 0 ? 'none' : mcp_tools_registered.join(', ');
  return `-- Attached; ${waited}. Tools: ${tools}.`;
}

function notice(said: string): Shown {
  return { type: 'notice', text: said };
}

function text(said: string): readonly Shown[] {
  return said === '' ? [] : [{ type: 'text', text: said }];
}
