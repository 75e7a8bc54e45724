/** The README's first ten minutes, line by line, as a reader would type them. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../fixtures/free-port.ts';
import { command } from './support/command.ts';
import { hasKubectl } from './support/instance.ts';

const root = join(import.meta.dirname, '../../..');
const launcher = join(root, 'sampan');
let directory = '';
let env: NodeJS.ProcessEnv = {};

before(async () => {
  directory = await mkdtemp('/var/tmp/sampan-readme-');
  env = { ...process.env, SAMPAN_HOME: join(directory, 'home'), SAMPAN_LISTEN: `127.0.0.1:${await freePort()}` };
});
after(async () => {
  await command(launcher, ['down', '--pods'], { env, timeoutMs: 60_000 });
  await rm(directory, { recursive: true, force: true });
});

/** Indented lines are what is typed; a comment after two blanks is for the reader. */
function typedLines(markdown: string, heading: string): string[] {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line!.replace(/ {2,}#.*$/, ''));
}

/** What only a person or another program can do is done by what stands in for them here. */
function asScript(line: string): string {
  const here = line.replaceAll('./sampan', launcher).replaceAll(/(?<= )examples\//g, `${root}/examples/`);
  if (line.startsWith('docker save')) return `gzip -c "$DEMO_IMAGE" > app.tar.gz`;
  if (line.endsWith('; echo $?')) return `set +e; ${here}; set -e`;
  return / -it /.test(line) ? `echo exit | script -qec '${here}' /dev/null` : here;
}

test('every line of the first ten minutes does what it says', async (t) => {
  if (!hasKubectl) return t.skip('kubectl is not on this machine');
  const lines = typedLines(await readFile(join(root, 'README.md'), 'utf8'), 'The first ten minutes');
  assert.ok(lines.length > 20, `the README has ${lines.length} lines to type`);
  const script = join(directory, 'typed.sh');
  await writeFile(script, ['set -ex', `${launcher} up --demo`, ...lines.map(asScript)].join('\n'));
  const demoImage = join(process.env.SAMPAN_CACHE || '/var/cache/sampan', 'demo-image-1.tar');
  const typed = await command('bash', ['-c', `cd ${directory} && bash ${script}`], {
    env: { ...env, DEMO_IMAGE: demoImage },
    timeoutMs: 240_000,
  });
  assert.equal(typed.code, 0, `${typed.stdout.slice(-2000)}\n${typed.stderr.slice(-2000)}`);
  assert.match(typed.stdout, /^3$/m);
  assert.match(typed.stdout, /Hello from a VM of its own/);
  assert.match(typed.stdout, /deployment "app" successfully rolled out/);
  assert.match(typed.stdout, /job.batch\/once condition met/);
  assert.match(typed.stdout, /Sampan is down; no Pod runs/);
  assert.doesNotMatch(typed.stderr, /^Warning/m);
});
