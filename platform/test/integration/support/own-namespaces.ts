/**
 * A test file that changes the host's network, mounts or kernel settings runs itself again inside namespaces of its own: the host's are never
 * touched, and nothing can be left behind.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

export interface OwnNamespaces {
  /** The file's path: import.meta.filename. */
  file: string;
  namespaces: ('net' | 'mount')[];
  timeoutMs: number;
  /** Why this machine cannot run these tests, or undefined. */
  obstacle(): string | undefined;
  /** Lines of the run inside that are told outside. */
  tells?: RegExp;
}

/** The tests that `inside` makes; out here they are one, which passes when all of them do. */
export function testInside(sentence: string, options: OwnNamespaces, inside: () => void): void {
  if (process.env.SAMPAN_TEST_INSIDE === '1') {
    inside();
    return;
  }
  const { file, namespaces, timeoutMs, obstacle, tells } = options;
  test(sentence, (t) => {
    const reason = obstacle();
    if (reason) return t.skip(reason);
    // Else the run inside would take itself for a part of this one, and tell nothing.
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
    const flags = namespaces.map((name) => `--${name}`);
    const child = spawnSync('unshare', [...flags, process.execPath, '--test', file], {
      env: { ...environment, SAMPAN_TEST_INSIDE: '1' },
      encoding: 'utf8',
      timeout: timeoutMs,
      killSignal: 'SIGTERM',
    });
    assert.equal(child.status, 0, child.stdout + child.stderr);
    if (tells) t.diagnostic(child.stdout.match(tells)?.join('\n') ?? '');
  });
}
