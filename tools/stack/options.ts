import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '#libs/protocol';
import type { ExistingInfrastructure } from './infrastructure.js';

export type PerKind<T> = Readonly<Partial<Record<ServiceName, T>>>;

export interface StackOptions {
  /** Where everything is kept: a later start on the same folder finds its sessions again. */
  readonly dataDir: string;
  /** Of the front; 0, the default, is any free one. */
  readonly port?: number;
  /**
   * Of the Kafka that is started; 3 keep each record three times, and go on while one is away.
   * Default 1; a folder keeps what it was made with.
   */
  readonly brokers?: 1 | 3;
  /** How many processes of each kind; 1 where it is not said, and 0 starts none. */
  readonly replicas?: PerKind<number>;
  /** Start a process again that ended on its own; true by default. */
  readonly restart?: boolean;
  /** Settings for all services, over those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Settings for the services of one kind, over `env`. */
  readonly envOf?: PerKind<NodeJS.ProcessEnv>;
  /** The program of a kind; by default the built `apps/<kind>`. */
  readonly entryOf?: PerKind<string>;
  readonly infrastructure?: ExistingInfrastructure;
  /** Default `<dataDir>/logs`. Each process appends to a file of its own there. */
  readonly logDir?: string;
  /**
   * Distinguishes the topics of stacks that share a Kafka; default `SBP_KAFKA_TOPIC_PREFIX`, else
   * `sbp`.
   */
  readonly topicPrefix?: string;
  /** Distinguishes the databases of stacks that share a Postgres; default `statebridge`. */
  readonly database?: string;
  /** Is told what takes long. */
  readonly say?: (message: string) => void;
}

/**
 * The built program of a service. This module lies in `tools/stack`, or in its built form below
 * `dist`.
 */
export function builtEntry(kind: ServiceName): string {
  const here = fileURLToPath(import.meta.url);
  const parent = path.resolve(path.dirname(here), '../..');
  const dist = here.endsWith('.ts') ? path.join(parent, 'dist') : parent;
  return path.join(dist, 'apps', kind, 'src', 'main.js');
}
