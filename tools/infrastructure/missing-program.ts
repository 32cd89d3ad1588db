/** Something that only the system can provide is not there; the message says what to install. */
export class MissingProgramError extends Error {
  override readonly name = 'MissingProgramError';
}
