#!/usr/bin/env node
import '../dist/apps/sbp-server/src/main.js';
