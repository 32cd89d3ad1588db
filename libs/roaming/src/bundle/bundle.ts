import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Bundle, BundleMessage } from '#libs/protocol';

/**
 * A bundle of which the messages are read as they are needed, so that its size is not in memory. It
 * can be read again.
 */
export interface BundleStream extends Omit<Bundle, 'messages' | 'metadata'> {
  readonly messages: () => AsyncIterable<BundleMessage>;
  readonly metadata: Omit<Bundle['metadata'], 'message_count'>;
}

/** What is known of a bundle once it was read. */
export interface BundleSummary {
  /** Its address: the SHA-256, in hex, of its canonical JSON (RFC 8785). */
  readonly cid: string;
  readonly messageCount: number;
}

/** A bundle's canonical JSON (RFC 8785), piece by piece: the keys in the order of their names. */
export async function* canonicalBundle(bundle: BundleStream): AsyncGenerator<string> {
  const { messages, metadata, exported_at, label, memory, ...rest } = bundle;
  const { sbp_version, session, state_snapshot } = rest;
  const before = canonical({ exported_at, label, memory });
  yield `${before.slice(0, -1)},"messages":[`;
  let count = 0;
  for await (const message of messages()) {
    yield count === 0 ? canonical(message) : `,${canonical(message)}`;
    count += 1;
  }
  const behind = { metadata: { ...metadata, message_count: count } };
  yield `],${canonical({ ...behind, sbp_version, session, state_snapshot }).slice(1)}`;
}

/** Reads a bundle to its end. */
export async function summaryOf(bundle: BundleStream): Promise<BundleSummary> {
  const hash = createHash('sha256');
  let messageCount = 0;
  const counted: BundleStream = {
    ...bundle,
    messages: async function* () {
      for await (const message of bundle.messages()) {
        messageCount += 1;
        yield message;
      }
    },
  };
  for await (const piece of canonicalBundle(counted)) hash.update(piece);
  return { cid: hash.digest('hex'), messageCount };
}

function canonical(value: object): string {
  const text = canonicalize(value);
  if (text === undefined) throw new Error('an object has no canonical form');
  return text;
}
