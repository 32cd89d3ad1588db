import type { ServiceName } from '#libs/protocol';

/**
 * A running installation as its users see it. The suite asks nothing else of it, so it cannot tell
 * which topology it is.
 */
export interface Server {
  /** The one address that users know. */
  readonly url: string;
  /**
   * Two replicas of one service by addresses of their own. They may be the same where one process
   * is all there is.
   */
  readonly replicas: (service: ServiceName) => {
    readonly first: string;
    readonly second: string;
  };
  readonly stop: () => Promise<void>;
}

/** Gives the running server to a test; it runs from the first test on. */
export type GetServer = () => Server;
