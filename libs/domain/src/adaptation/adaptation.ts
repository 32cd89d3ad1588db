import type { SurfaceContext } from '#libs/protocol';
import type { SessionState } from '../session-state.js';
import { languageName } from './language-name.js';

/** How a turn is adapted to the surface that is attached when it starts. */
export interface Adaptation {
  /** What the model is told of the surface; null where there is nothing to tell. */
  readonly instruction: string | null;
  /** The most tokens of an answer, where the request itself sets no limit. */
  readonly maxOutputTokens: number | null;
}

/** `context`: of the attached surface; null for none. */
export function adaptation(context: SurfaceContext | null): Adaptation {
  const sentences = [
    ...formatSentences(context?.ui_capabilities ?? null),
    ...languageSentences(context?.locale ?? ''),
  ];
  return {
    instruction: sentences.length === 0 ? null : sentences.join(' '),
    maxOutputTokens: context?.max_output_tokens ?? null,
  };
}

/** The context of the surface that is attached; null for none. */
export function attachedContext(session: SessionState): SurfaceContext | null {
  const surface = session.phase === 'open' ? session.surface : null;
  return surface?.type === 'attached' ? surface.attachment.context : null;
}

/** Whether a surface shows a turn while it is made. Only a list without it says otherwise. */
export function streams({ ui_capabilities }: SurfaceContext): boolean {
  return ui_capabilities?.includes('streaming') ?? true;
}

/** Without a list the surface shows markdown, with all that is in it. */
function formatSentences(capabilities: readonly string[] | null): readonly string[] {
  if (capabilities === null) return [];
  const spoken = capabilities.includes('audio')
    ? ['Answer in prose that is fit to be spoken aloud.']
    : [];
  if (!capabilities.includes('markdown'))
    return [...spoken, 'Answer in plain text, without Markdown.'];
  const missing = ['tables', 'images'].filter((part) => !capabilities.includes(part));
  return missing.length === 0 ? spoken : [...spoken, `Use no ${missing.join(' and no ')}.`];
}

function languageSentences(locale: string): readonly string[] {
  const name = languageName(locale);
  return name === null ? [] : [`Answer in ${name}, unless the user asks for another language.`];
}
