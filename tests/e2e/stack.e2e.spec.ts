import { describeServer } from './suites/server.contract.js';
import { startServices } from './topology/stack.js';

describeServer('services', startServices);
