import type { ModelResponse } from '#libs/llm';

/** The heads of answers that are no model's; each has a body of its own. */
export const OK = headOf(200);
export const ACCEPTED = headOf(202);

export async function* noBody(): AsyncGenerator<Uint8Array> {
  // What is answered has a body of its own.
}

function headOf(status: number): ModelResponse {
  return { status, headers: {}, body: noBody() };
}
