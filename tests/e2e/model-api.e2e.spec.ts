import { describeModelApi } from './suites/model-api.contract.js';
import { startEmbedded } from './topology/embedded.js';
import { startServices } from './topology/stack.js';

describeModelApi('embedded', startEmbedded);
describeModelApi('a stack', startServices);
