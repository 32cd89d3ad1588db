import { wholeCodePoints } from './code-points.js';

/** UTF-16 code units from which on short pieces are made one. */
const BLOCK = 16 * 1024;

/**
 * A text that grows at its end and is read in parts. Its pieces are kept in an array, each with the
 * offset at which it begins, because a string that is appended to and read in turns is copied as a
 * whole at every read. Short pieces are joined to blocks, so that a token costs no object of its
 * own for long.
 */
export class TurnText {
  private readonly pieces: string[] = [];
  private readonly starts: number[] = [];
  /** Index of the first piece that is not part of a block yet. */
  private loose = 0;
  private end = 0;

  get length(): number {
    return this.end;
  }

  append(piece: string): void {
    if (piece === '') return;
    this.pieces.push(piece);
    this.starts.push(this.end);
    this.end += piece.length;
    const from = this.starts[this.loose] ?? this.end;
    if (this.end - from < BLOCK) return;
    const block = this.pieces.splice(this.loose).join('');
    this.starts.length = this.loose;
    this.pieces.push(block);
    this.starts.push(from);
    this.loose++;
  }

  /**
   * At most `most` code units from `offset` on; less where the last one is the first half of a
   * surrogate pair, so that nobody is sent half a character.
   */
  read(offset: number, most: number): string {
    const until = Math.min(offset + most, this.end);
    const parts: string[] = [];
    for (let index = this.pieceAt(offset), at = offset; at < until; index++) {
      const start = this.starts[index] ?? 0;
      const part = (this.pieces[index] ?? '').slice(at - start, until - start);
      parts.push(part);
      at += part.length;
    }
    return wholeCodePoints(parts.join('')).whole;
  }

  /** Index of the piece that holds the code unit at `offset`. */
  private pieceAt(offset: number): number {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
