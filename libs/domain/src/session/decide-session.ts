import type { Decision, Issued } from '../issued.js';
import { decided, envelope } from '../issued.js';

/** What a session can be asked to become. */
export type LifeChange = 'running' | 'suspended' | 'completed' | 'failed';

export type SessionCommand =
  /** By the holder of a claim, while no turn is open. */
  | { readonly type: 'ChangeLife'; readonly epoch: number; readonly to: LifeChange }
  | { readonly type: 'RevokeTokens'; readonly generation: number };

const EVENTS = {
  running: 'session.resumed',
  suspended: 'session.suspended',
  completed: 'session.completed',
  failed: 'session.failed',
} as const;

export function decideSession(command: Issued & SessionCommand): Decision {
  switch (command.type) {
    case 'ChangeLife': {
      const { epoch, to } = command;
      return decided({ ...envelope(command), type: EVENTS[to], epoch, data: {} });
    }
    case 'RevokeTokens': {
      const { generation } = command;
      return decided({
        ...envelope(command),
        type: 'session.tokens_revoked',
        data: { generation },
      });
    }
  }
}
