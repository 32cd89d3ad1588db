import type { JsonObject } from '#libs/protocol';

/** What a model is told of a tool's result. */
export interface ResultContent {
  readonly text: string;
  /** Each as the `image_url` of a part. */
  readonly images: readonly JsonObject[];
}

/** The kinds of blocks in what a tool of MCP returns. */
const BLOCKS = new Set(['text', 'image', 'audio', 'resource', 'resource_link']);

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const IMAGE = /^image\/[a-z0-9.+-]{1,40}$/;

/**
 * A string as it stands, what a tool of MCP returns block by block, and any other JSON as JSON.
 * What a model cannot be shown is described.
 */
export function resultContent(
  toolName: string,
  result: unknown,
  showsImages: boolean,
): ResultContent {
  if (typeof result === 'string') return { text: result, images: [] };
  const blocks = blocksOf(result);
  if (blocks === null) return { text: JSON.stringify(result ?? null), images: [] };
  const images: JsonObject[] = [];
  const texts = blocks.map((block) => {
    if (!showsImages || !isImage(block)) return described(block);
    images.push({ url: `data:${block.mimeType};base64,${block.data}` });
    return `[image ${images.length} of ${toolName}, shown below]`;
  });
  const { structuredContent, isError } = result as JsonObject;
  const isBare = texts.length === 0 && structuredContent !== undefined;
  const text = isBare ? JSON.stringify(structuredContent) : texts.join('\n');
  return { text: isError === true ? JSON.stringify({ error: text }) : text, images };
}

function blocksOf(result: unknown): readonly JsonObject[] | null {
  if (typeof result !== 'object' || result === null || !('content' in result)) return null;
  const { content } = result;
  if (!Array.isArray(content)) return null;
  const isBlock = (block: unknown): block is JsonObject =>
    typeof block === 'object' &&
    block !== null &&
    'type' in block &&
    BLOCKS.has(String(block.type));
  return content.every(isBlock) ? content : null;
}

function isImage(block: JsonObject): block is { readonly mimeType: string; readonly data: string } {
  const { type, mimeType, data } = block;
  const isNamed = typeof mimeType === 'string' && IMAGE.test(mimeType);
  return type === 'image' && isNamed && typeof data === 'string' && BASE64.test(data);
}

function described(block: JsonObject): string {
  const { type, text, mimeType, data } = block;
  switch (type) {
    case 'text':
      return typeof text === 'string' ? text : JSON.stringify(block);
    case 'image':
    case 'audio': {
      const bytes = typeof data === 'string' ? Math.floor((data.length * 3) / 4) : 0;
      return `[${type}, ${String(mimeType)}, ${bytes} bytes, that you cannot be shown]`;
    }
    case 'resource': {
      const { resource } = block;
      const said = (resource as JsonObject | null | undefined)?.['text'];
      return typeof said === 'string' ? said : JSON.stringify(withoutBlob(resource));
    }
    default:
      return JSON.stringify(block);
  }
}

function withoutBlob(resource: unknown): unknown {
  if (typeof resource !== 'object' || resource === null) return resource;
  return Object.fromEntries(Object.entries(resource).filter(([name]) => name !== 'blob'));
}
