import type { CopiedPart } from '#libs/domain';
import { messageBytes } from '#libs/domain';
import type { BundleMessage, Message, MessageAbout, RestoredParts } from '#libs/protocol';

/** Bytes of messages in one part, as JSON; one message may have more. */
const PART_BYTES = 1024 * 1024;

/** What is known of a conversation before it is copied. */
export interface CopiedConversation {
  readonly messages: AsyncIterable<BundleMessage>;
  readonly steps: number;
  readonly costUsd: number | null;
}

/**
 * A conversation in parts of bounded size. System messages at its beginning are those in force, and
 * stand outside of it. Returns what the parts are together.
 */
export async function* copiedParts({
  messages,
  steps,
  costUsd,
}: CopiedConversation): AsyncGenerator<CopiedPart, RestoredParts> {
  const system: Message[] = [];
  let waiting: BundleMessage[] = [];
  let waitingBytes = 0;
  let [parts, count, bytes] = [0, 0, 0];
  const part = (): CopiedPart => {
    parts += 1;
    const texts = waiting.map(parted);
    const first = count;
    count += texts.length;
    waiting = [];
    waitingBytes = 0;
    return {
      data: {
        ...{ part: parts, first_index: first, message_count: texts.length },
        ...{ step_count: steps, cost_usd: costUsd, has_system: system.length > 0 },
      },
      messages: texts.map(({ message }) => message),
      about: texts.map(({ about }) => about),
      system: parts === 1 && system.length > 0 ? system : null,
    };
  };
  for await (const message of messages) {
    const size = messageBytes([message]);
    bytes += size;
    const isSystem = message.role === 'system' || message.role === 'developer';
    if (isSystem && count === 0 && waiting.length === 0) {
      system.push(parted(message).message);
      continue;
    }
    if (waiting.length > 0 && waitingBytes + size > PART_BYTES) yield part();
    waiting.push(message);
    waitingBytes += size;
  }
  if (waiting.length > 0 || (system.length > 0 && parts === 0)) yield part();
  return {
    ...{ parts, message_count: count, bytes, step_count: steps, cost_usd: costUsd },
    has_system: system.length > 0,
  };
}

/** What was said, and where it comes from. */
function parted({ model_used, cost_usd, created_at, ...message }: BundleMessage): {
  readonly message: Message;
  readonly about: MessageAbout;
} {
  return { message, about: { model_used, cost_usd, created_at } };
}
