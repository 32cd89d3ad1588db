import { describeMailbox } from '../mailbox.contract.js';
import { InProcessMailbox } from './in-process-mailbox.js';

describeMailbox('in process', () => {
  const mailbox = new InProcessMailbox(() => undefined);
  return Promise.resolve({ sender: mailbox, receiver: mailbox, close: () => mailbox.close() });
});
