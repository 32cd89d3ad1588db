import { describeServer } from './suites/server.contract.js';
import { startEmbedded } from './topology/embedded.js';

describeServer('embedded', startEmbedded);
