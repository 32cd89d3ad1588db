import type { Issued } from './issued.js';
import type { RoamingCommand } from './roaming/decide-roaming.js';
import type { SessionCommand } from './session/decide-session.js';
import type { SurfaceCommand } from './surfaces/decide-surfaces.js';
import type { ToolCommand } from './tools/decide-tools.js';
import type { TurnCommand } from './turns/decide-turns.js';

/** What is to be done, without what every command brings along. */
export type PlainCommand =
  TurnCommand | ToolCommand | SurfaceCommand | SessionCommand | RoamingCommand;
export type PlainCommandOf<T extends PlainCommand['type']> = Extract<PlainCommand, { type: T }>;

export type Command = Issued & PlainCommand;
