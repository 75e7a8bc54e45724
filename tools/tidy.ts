/**
 * The house rules that a machine can hold (docs/HACKING.md): layers, room sizes, banned calls, a reason for each dependency.
 * Prints what is broken and exits 1.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const maxLines = 400;

const levels: Record<string, number> = {
  base: 0,
  store: 1,
  vmm: 1,
  images: 1,
  network: 1,
  volumes: 1,
  apiserver: 2,
  controllers: 2,
  runtime: 2,
  node: 2,
  cri: 3,
  shim: 3,
  oci: 3,
  cmd: 4,
};

/** Interfaces of a seam that a sibling may see. */
const sharedSeams = new Set([
  'runtime/runtime.ts',
  'runtime/annotations.ts',
  'runtime/default-paths.ts',
  'runtime/generated/cri.ts',
  'node/gateway.ts',
]);

/** Calls that only base/ (and, for processes, the drivers of L1) may make; tests are free. */
const banned = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)/, what: 'Date.now: ask a Clock', allowed: ['base'] },
  { pattern: /\bset(Timeout|Interval)\(/, what: 'a bare timer: use Clock.sleep', allowed: ['base'] },
  {
    pattern: /from 'node:child_process'/,
    what: 'child_process: use base/child.ts',
    allowed: ['base', 'vmm', 'images', 'network', 'cmd'],
  },
];

const problems: string[] = [];
const files = globSync(['api/src/**/*.ts', 'platform/**/*.ts', 'cli/src/**/*.ts', 'tools/**/*.ts'], {
  cwd: root,
  exclude: (name) => name.includes('node_modules'),
});

for (const file of files) {
  if (file.includes('/generated/')) continue;
  const text = readFileSync(join(root, file), 'utf8');
  const lines = text.split('\n').length - 1;
  if (lines > maxLines) problems.push(`${file}: ${lines} lines; a room holds at most ${maxLines}`);
  if (/(^|\/)utils?\.ts$/.test(file)) problems.push(`${file}: name a file for what it does`);
  checkImports(file, text);
  if (file.startsWith('platform/src/') && !isTestCode(file)) checkBanned(file, text);
}
checkDependencies();

for (const problem of problems) console.error(problem);
console.log(
  problems.length === 0 ? `tidy: ${files.length} files, all in order` : `tidy: ${problems.length} broken rules`,
);
process.exitCode = problems.length === 0 ? 0 : 1;

function isTestCode(file: string): boolean {
  return file.endsWith('.test.ts') || file.endsWith('-suite.ts') || file.startsWith('platform/test/');
}

function checkImports(file: string, text: string): void {
  for (const [, target = ''] of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
    if (file.startsWith('api/src/') && target.startsWith('node:') && !isTestCode(file))
      problems.push(`${file}: imports ${target}, but api/ also runs in browsers`);
    if (file.startsWith('cli/') && target.startsWith('@sampan/platform'))
      problems.push(`${file}: imports ${target}, but cli/ is a client of the API like any other`);
    if (!target.startsWith('.')) continue;
    const imported = relative(root, join(root, dirname(file), target));
    if (file.startsWith('platform/src/') && imported.startsWith('platform/src/') && !isTestCode(file))
      checkLayer(file, imported);
    else if (file.startsWith('cli/src/') && imported.startsWith('platform/'))
      problems.push(`${file}: imports ${imported}, but cli/ is a client of the API like any other`);
  }
}

function checkLayer(file: string, imported: string): void {
  const [from = '', to = ''] = [file, imported].map((path) => path.split('/')[2]);
  const below = imported.slice('platform/src/'.length);
  if (from === to || sharedSeams.has(below)) return;
  if (levels[from] === undefined || levels[to] === undefined)
    problems.push(`${file}: no level is known for ${from} or ${to}`);
  else if (levels[to]! >= levels[from]!)
    problems.push(`${file}: ${from} (L${levels[from]}) imports ${below} (L${levels[to]})`);
  else if (levels[to] === 1 && levels[from]! < 4 && below.split('/').length > 2)
    problems.push(`${file}: sees the driver ${below}; only its interface may be seen`);
}

function checkBanned(file: string, text: string): void {
  const room = file.split('/')[2] ?? '';
  for (const { pattern, what, allowed } of banned)
    if (!allowed.includes(room) && pattern.test(text)) problems.push(`${file}: ${what}`);
}

function checkDependencies(): void {
  const reasons = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
  for (const manifest of ['package.json', 'api/package.json', 'platform/package.json', 'cli/package.json']) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(root, manifest), 'utf8'));
    for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
      if (!reasons.includes(`\`${name}\``)) problems.push(`${manifest}: ${name} has no reason in docs/dependencies.md`);
    }
  }
}
