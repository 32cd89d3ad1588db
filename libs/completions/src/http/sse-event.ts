/** One event of a stream whose data is JSON: only between its tokens can a line end. */
export function sseEvent(data: string, id: string): string {
  return `id: ${id}\ndata: ${data.replaceAll('\n', '\ndata: ')}\n\n`;
}
