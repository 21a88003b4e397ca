#!/usr/bin/env node
import { runProgram } from './program.js';
import { scarbon } from './scarbon/main.js';

await runProgram('scarbon', () => scarbon(process.argv.slice(2)));
