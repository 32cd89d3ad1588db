import { createHash, randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BundleMessage, RoamingClaims } from '#libs/protocol';
import { Bundle, BundleMessage as BundleMessageSchema, SbpError } from '#libs/protocol';
import { Injectable } from '@nestjs/common';
import { bundlePieces } from '../bundle/bundle-reader.js';
import { RoamingOptions } from '../roaming-options.js';
import { Places } from './places.js';
import { ServerClient, reasonOf, unavailable } from './server-client.js';

/** What is kept of a bundle beside its messages. */
type BundleHead = Omit<Bundle, 'messages'>;

/** A bundle of another server, verified whole, in a file of its own until it is let go. */
export interface FetchedBundle {
  readonly head: BundleHead;
  readonly messages: () => AsyncIterable<BundleMessage>;
  readonly letGo: () => Promise<void>;
}

/** How long a bundle may take to come, in ms. */
const FETCH_MS = 120_000;
/** Bundles that a process has at once, each in a file of its own until it is copied. */
export const BUNDLES_AT_ONCE = 4;
export const PLACES = { most: BUNDLES_AT_ONCE, mostWaiting: 32, waitMs: 10_000 };
/** After how long whoever was turned away may come back, in s. */
const RETRY_AFTER_S = 5;

const Head = Bundle.omit({ messages: true });

/** Fetches bundles from the servers that have them. That uses nothing. */
@Injectable()
export class RemoteBundles {
  private readonly places = new Places(PLACES);

  constructor(
    private readonly client: ServerClient,
    private readonly options: RoamingOptions,
  ) {}

  /**
   * @throws SbpError what the other server says of the token; SBP_TOKEN_INTEGRITY where the bundle
   *   is not what the token says; SBP_PAYLOAD_TOO_LARGE; SBP_UPSTREAM_UNAVAILABLE, also where this
   *   process has too many at once, or no room for it
   */
  async fetch({ cid, iss, sub }: RoamingClaims, token: string): Promise<FetchedBundle> {
    if (!(await this.places.enter())) throw tooMany();
    const file = await namelessFile().catch((error: unknown) => {
      this.places.leave();
      throw notKept(error);
    });
    const letGo = () => file.close().finally(() => this.places.leave());
    try {
      const found = await this.download({ server: iss, cid, token, file });
      if (found !== cid) throw notWhatItSays('its hash is another one');
      const head = await readHead(file);
      if (head.metadata.export_id !== sub) throw notWhatItSays('it is of another export');
      return { head, messages: () => messagesOf(file), letGo };
    } catch (error) {
      await letGo();
      throw error;
    }
  }

  /** Gives the SHA-256, in hex, of what came. */
  private async download({
    server,
    cid,
    token,
    file,
  }: {
    readonly server: string;
    readonly cid: string;
    readonly token: string;
    readonly file: FileHandle;
  }): Promise<string> {
    const most = this.options.maxBundleBytes;
    const path = `/v1/sbp/bundles/${encodeURIComponent(cid)}`;
    const signal = AbortSignal.timeout(FETCH_MS);
    const answer = await this.client.ask(server, { method: 'GET', path, token }, signal);
    if (answer.statusCode !== 200) {
      throw await refusalOf(server, answer.statusCode, () => answer.body.json());
    }
    const hash = createHash('sha256');
    let size = 0;
    try {
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > most) throw tooLarge(most);
        hash.update(chunk);
        await file.writeFile(chunk).catch((error: unknown) => {
          throw notKept(error);
        });
      }
    } catch (error) {
      answer.body.destroy();
      if (error instanceof SbpError) throw error;
      throw unavailable(server, `the bundle did not come whole (${reasonOf(error)})`, error);
    }
    return hash.digest('hex');
  }
}

/** It has no name any more, so that nothing is left of it however the process ends. */
async function namelessFile(): Promise<FileHandle> {
  const name = path.join(tmpdir(), `statebridge-bundle-${randomUUID()}.json`);
  const file = await open(name, 'wx+', 0o600);
  await rm(name);
  return file;
}

function fromItsBegin(file: FileHandle): AsyncIterable<Buffer> {
  return file.createReadStream({ start: 0, autoClose: false });
}

/** Reads it once to its end, and checks every message. @throws SbpError SBP_TOKEN_INTEGRITY */
async function readHead(file: FileHandle): Promise<BundleHead> {
  let count = 0;
  try {
    for await (const piece of bundlePieces(fromItsBegin(file))) {
      if (piece.type === 'message') {
        BundleMessageSchema.parse(piece.value);
        count += 1;
        continue;
      }
      const head = Head.parse(piece.value);
      if (head.metadata.message_count === count) return head;
      throw notWhatItSays('it says another number of messages than it has');
    }
  } catch (error) {
    if (error instanceof SbpError) throw error;
    throw notWhatItSays('it is no bundle', error);
  }
  throw notWhatItSays('it is empty');
}

async function* messagesOf(file: FileHandle): AsyncGenerator<BundleMessage> {
  for await (const piece of bundlePieces(fromItsBegin(file))) {
    if (piece.type === 'message') yield BundleMessageSchema.parse(piece.value);
  }
}

function notWhatItSays(problem: string, cause?: unknown): SbpError {
  const message = `The bundle is not the one that the token says: ${problem}.`;
  return new SbpError('SBP_TOKEN_INTEGRITY', message, { cause });
}

function tooMany(): SbpError {
  const message = `This server fetches ${BUNDLES_AT_ONCE} bundles already, and others wait. Try again.`;
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, { retryAfter: RETRY_AFTER_S });
}

/** What is told where this server cannot write a bundle into its file. */
export function notKept(cause: unknown): SbpError {
  const isFull = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC';
  const problem = isFull ? 'no room for temporary files' : 'a fault of its temporary files';
  const message = `The bundle cannot be fetched now: this server has ${problem}. Try again later.`;
  return new SbpError('SBP_UPSTREAM_UNAVAILABLE', message, {
    ...{ retryAfter: RETRY_AFTER_S, cause },
  });
}

function tooLarge(most: number): SbpError {
  return new SbpError('SBP_PAYLOAD_TOO_LARGE', `The bundle has more than ${most} bytes.`);
}

/** What another server says of a token is told in this one's words. */
export async function refusalOf(
  server: string,
  status: number,
  read: () => Promise<unknown>,
): Promise<SbpError> {
  const body = (await read().catch(() => null)) as {
    readonly error?: { readonly code?: unknown; readonly message?: unknown };
  } | null;
  const code = body?.error?.code;
  const told = typeof body?.error?.message === 'string' ? body.error.message : `status ${status}`;
  const known = ['SBP_TOKEN_EXPIRED', 'SBP_TOKEN_CONSUMED', 'SBP_TOKEN_INVALID'] as const;
  const same = known.find((each) => each === code);
  if (same !== undefined) return new SbpError(same, `${server} says: ${told.slice(0, 300)}`);
  return unavailable(server, told.slice(0, 300));
}
