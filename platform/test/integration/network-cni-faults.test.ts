/**
 * CNI configurations that are wrong, missing or late, with Debian's plugins before them in the chain. Runs itself again inside network and mount
 * namespaces of its own.
 */
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCniNetwork } from '../../src/network/cni/cni-network.ts';
import { requestOf } from '../../src/network/network-suite.ts';
import { missingForCni, newCniLab, pluginDirectory } from './cni-lab.ts';
import { testInside } from './support/own-namespaces.ts';

testInside(
  'CNI configurations at fault, inside a network namespace of their own',
  { file: import.meta.filename, namespaces: ['net', 'mount'], timeoutMs: 300_000, obstacle: missingForCni },
  insideNamespace,
);

function insideNamespace(): void {
  test('a plugin that is missing, fails, prints rubbish or nothing refuses the Pod in words, and nothing is left', async () => {
    await using maker = await newCniLab();
    const plugins = join(maker.home, 'bin');
    await mkdir(plugins);
    const scripts = {
      failing: `[ "$CNI_COMMAND" = ADD ] && { echo '{"cniVersion":"1.0.0","code":11,"msg":"not today"}'; exit 1; }`,
      mute: 'exit 0',
      rubbish: '[ "$CNI_COMMAND" = ADD ] && yes "{" | head -c 3000000',
      killed: '[ "$CNI_COMMAND" = ADD ] && kill -9 $$',
    };
    for (const [name, script] of Object.entries(scripts)) {
      await writeFile(join(plugins, name), `#!/bin/sh\ncat >/dev/null\n${script}\nexit 0\n`);
      await chmod(join(plugins, name), 0o755);
    }
    const words: Record<string, RegExp> = {
      failing: /CNI plugin failing, ADD: not today \(code 11\)/,
      mute: /CNI plugin mute, ADD: its result is none/,
      rubbish: /CNI plugin rubbish, ADD: its result is none/,
      killed: /CNI plugin killed, ADD/,
      missing: /there is no CNI plugin missing in/,
    };
    for (const [type, refusal] of Object.entries(words)) {
      // It is not there when the first Pod comes; start() would say so.
      await using lab = await newCniLab({
        ...{ more: [{ type }], pluginDirectories: [pluginDirectory, plugins], mayComeLater: true },
      });
      await assert.rejects(lab.network.attach(requestOf('a')), refusal);
      assert.deepEqual(await lab.leftovers(), [], type);
      const fault = await lab.network.fault?.();
      if (type === 'missing') assert.match(fault ?? '', refusal);
      else assert.equal(fault, undefined);
    }
  });

  test('the network may be configured when a server is there already; until then it says what is missing', async () => {
    await using lab = await newCniLab();
    const configDirectory = join(lab.home, 'later.d');
    const options = { ...lab.options, run: join(lab.home, 'later'), configDirectory };
    await assert.rejects((await createCniNetwork(options)).start(), /no CNI network in .*later\.d/);
    const network = await createCniNetwork({ ...options, mayComeLater: true });
    await network.start();
    assert.match((await network.fault?.()) ?? '', /no CNI network in .*later\.d/);
    await assert.rejects(network.attach(requestOf('a')), /no CNI network in .*later\.d/);
    await mkdir(configDirectory);
    await copyFile(join(lab.options.configDirectory!, '10-lab.conflist'), join(configDirectory, '10-lab.conflist'));
    assert.equal(await network.fault?.(), undefined);
    assert.match((await network.attach(requestOf('a'))).ipv4.address, /^10\.88\./);
    await network.detach('a');
    await network.teardown();
  });
}
