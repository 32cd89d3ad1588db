/** A promise's end as a value. */
export type Settled<T> =
  | { readonly type: 'resolved'; readonly value: T }
  | { readonly type: 'rejected'; readonly error: unknown };

export async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { type: 'resolved', value: await promise };
  } catch (error) {
    return { type: 'rejected', error };
  }
}
