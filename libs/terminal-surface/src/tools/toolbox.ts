import type { JsonObject, ToolSchemas } from '#libs/protocol';
import type { Tool, ToolOutcome } from './tool.js';
import { failure } from './tool.js';

/** The tools that a surface offers. */
export class Toolbox {
  private readonly tools: ReadonlyMap<string, Tool>;

  constructor(tools: readonly Tool[]) {
    this.tools = new Map(tools.map((tool) => [tool.name, tool]));
  }

  get names(): string[] {
    return [...this.tools.keys()];
  }

  get schemas(): ToolSchemas {
    return Object.fromEntries([...this.tools].map(([name, { schema }]) => [name, schema]));
  }

  /** Never rejects: what goes wrong is an outcome. */
  async run(name: string, input: JsonObject, signal: AbortSignal): Promise<ToolOutcome> {
    const tool = this.tools.get(name);
    if (tool === undefined) return failure(`This device has no tool named ${name}.`);
    try {
      return await tool.run(input, signal);
    } catch (error) {
      return failure(error instanceof Error ? error.message : String(error));
    }
  }
}
