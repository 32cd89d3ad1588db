/**
 * The partition that Kafka's default partitioner gives a key: murmur2 of its UTF-8 bytes, as the
 * Java client and kafkajs's `DefaultPartitioner` compute it.
 */
export function partitionOfKey(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % partitions;
}

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** MurmurHash2, 32 bits, as in Kafka's `Utils.murmur2`. */
function murmur2(data: Buffer): number {
  const length = data.length;
  let h = SEED ^ length;
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4) {
    let k = Math.imul(data.readInt32LE(i), M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  let rest = 0;
  for (let i = length - 1; i >= whole; i -= 1) rest = (rest << 8) | data.readUInt8(i);
  if (length > whole) h = Math.imul(h ^ rest, M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}
