import { HEADERS } from '#libs/protocol';
import type { z } from 'zod';

/** What went wrong, in words for whoever typed the command. */
export class CommandProblem extends Error {
  override readonly name = 'CommandProblem';
}

/** Asks a server by HTTP. */
export class ServerApi {
  /**
   * `url`: without a slash at its end. `token`: of a session, `apiKey`: of a principal; null for
   * none.
   */
  constructor(
    private readonly url: string,
    private readonly token: string | null,
    private readonly apiKey: string | null,
  ) {}

  /** @throws CommandProblem in the server's words, where it has any */
  async ask<S extends z.ZodType>(
    method: 'GET' | 'POST',
    path: string,
    schema: S,
    body?: object,
  ): Promise<z.output<S>> {
    const response = await this.request(method, path, body);
    const json: unknown = await response.json().catch(() => null);
    if (!response.ok) throw new CommandProblem(problemOf(response.status, json));
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    throw new CommandProblem(`${this.url} answers something else than this program knows.`);
  }

  private async request(method: string, path: string, body?: object): Promise<Response> {
    try {
      return await fetch(`${this.url}/v1/sbp/${path}`, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(this.apiKey === null ? {} : { authorization: `Bearer ${this.apiKey}` }),
          ...(this.token === null ? {} : { [HEADERS.sessionToken]: this.token }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      const { cause } = error as { readonly cause?: NodeJS.ErrnoException };
      const why = cause?.code ?? cause?.message ?? String(error);
      throw new CommandProblem(`The request to ${this.url} failed (${why}). Is the server there?`);
    }
  }
}

function problemOf(status: number, json: unknown): string {
  const { error } = (json ?? {}) as { readonly error?: { readonly message?: unknown } };
  const said = typeof error?.message === 'string' ? `: ${error.message}` : '.';
  return `The server answers ${status}${said}`;
}
