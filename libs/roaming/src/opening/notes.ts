/*
 * What tells a model, and whoever reads the conversation, where that comes from. Each is one
 * message by the system; what a person wrote stands in quotation marks.
 */

export interface ImportSource {
  readonly sessionId: string;
  readonly agentId: string;
  readonly exportId: string;
  readonly exportedAt: string;
  readonly label: string | null;
  /** The public URL of the server that it comes from; null for this one. */
  readonly server: string | null;
}

/** Names the provenance of an imported conversation. */
export function importNote(source: ImportSource): string {
  const { sessionId, agentId, exportId, exportedAt, label, server } = source;
  const where = server === null ? '' : ` on ${server}`;
  const called = label === null ? '' : ` It was labelled ${quoted(label)}.`;
  return (
    `This conversation was imported: from session ${sessionId} of the agent ${quoted(agentId)}` +
    `${where}, by export ${exportId} of ${exportedAt}.${called}`
  );
}

export interface HandoffSource {
  readonly sourceId: string;
  readonly fromAgent: string;
  readonly toAgent: string;
  readonly message: string | null;
  readonly reason: string | null;
}

/** The bridge message of a handoff. */
export function handoffNote(source: HandoffSource): string {
  const { sourceId, fromAgent, toAgent, message, reason } = source;
  const why = reason === null ? '' : ` The reason: ${quoted(reason)}.`;
  const told = message === null ? '' : ` Its message to you: ${quoted(message)}`;
  return (
    `The agent ${quoted(fromAgent)} has handed this conversation over to the agent ` +
    `${quoted(toAgent)}; until here it was session ${sourceId}.${why}${told}`
  );
}

function quoted(text: string): string {
  return `“${text}”`;
}
