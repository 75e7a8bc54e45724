import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineChild } from './line-child.ts';

const shell = (script: string) => new LineChild('/bin/sh', ['-c', script]);

test('answers come back in the order of the questions, and a refusal has the words of the child', async () => {
  const child = shell('while read -r line; do case $line in bad*) echo "error no $line";; *) echo ok;; esac; done');
  const [first, second, third] = await Promise.allSettled([
    child.ask('good'),
    child.ask('bad', 'x'),
    child.ask('good'),
  ]);
  assert.equal(first.status, 'fulfilled');
  assert.match(String((second as PromiseRejectedResult).reason), /bad: no bad\tx/);
  assert.equal(third.status, 'fulfilled');
  child.close();
});

test('a child that died fails what was asked of it, and the next question goes to another', async () => {
  const child = shell('read -r line; [ "$line" = die ] && exit 3; echo ok; cat > /dev/null');
  await assert.rejects(child.ask('die'), /exit 3/);
  await child.ask('live');
  child.close();
});

test('what cannot stand in a line is sent as its number', async () => {
  const child = shell('read -r line; [ "$line" = "a%09b%0Ac%25" ] && echo ok || echo "error $line"; cat > /dev/null');
  await child.ask('a\tb\nc%');
  child.close();
});
