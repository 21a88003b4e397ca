#!/usr/bin/env node
import { runProgram } from './program.js';
import { wattle } from './wattle/main.js';

await runProgram('wattle', () => wattle(process.argv.slice(2)));
