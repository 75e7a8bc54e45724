import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasTerminal } from './terminal.ts';

const stdin = (isTTY: boolean) => ({ isTTY }) as typeof process.stdin;

test('-it without a terminal here goes without one; -t alone has nothing to end and keeps it', () => {
  assert.equal(hasTerminal({ interactive: true, tty: true }, stdin(true)), true);
  assert.equal(hasTerminal({ interactive: true, tty: true }, stdin(false)), false);
  assert.equal(hasTerminal({ tty: true }, stdin(false)), true);
  assert.equal(hasTerminal({ interactive: true }, stdin(true)), false);
});
