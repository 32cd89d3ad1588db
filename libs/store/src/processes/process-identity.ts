import type { ProcessAddress } from '#libs/protocol';

/** Who this process is to others: its leased slot and this life of it. */
export class ProcessIdentity {
  constructor(readonly address: ProcessAddress) {}
}
