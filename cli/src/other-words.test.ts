import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { clusterCommands } from './commands/cluster.ts';
import { platformCommands } from './commands/platform.ts';
import { refuseOtherWord } from './other-words.ts';

test('a word of docker or kubectl is answered with the one that does it here', () => {
  assert.throws(() => refuseOtherWord('images'), {
    message: 'there is no command "images"',
    mend: './sampan image ls',
  });
  assert.throws(() => refuseOtherWord('stop'), { mend: /sampan rm NAME/ });
  assert.throws(() => refuseOtherWord('cp'), { mend: /kubectl cp/ });
});

test('what is a command, a misspelling or nothing is left to the parser', () => {
  const program = new Command('sampan').enablePositionalOptions();
  platformCommands(program);
  clusterCommands(program);
  for (const word of [...program.commands.map((command) => command.name()), 'psx', 'constructor', undefined])
    refuseOtherWord(word);
});
