import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ServerClient } from '../servers/server-client.js';

/** A server that this one trusts, and that answers as a test has it. */
export interface OtherServer {
  readonly url: string;
  /** Of the server under test. */
  readonly client: ServerClient;
  stop(): Promise<void>;
}

export async function startOtherServer(
  answer: (response: ServerResponse) => void,
): Promise<OtherServer> {
  const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new ServerClient({ trusted: [url], allowsPrivate: false });
  return {
    url,
    client,
    stop: async () => {
      await client.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
