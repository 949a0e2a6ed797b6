#!/usr/bin/env node
// The command `tocsin` from a checkout: set-up where needed, then the built command line.
import { setUp } from './setup.js';

setUp();
await import('../dist/cli/main.js');
