/** What every network driver must do. A driver's test calls this with a way to make one; `restarted` stands for the server's restart. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import type { Attachment, AttachRequest, Network } from './network.ts';

export interface NetworkUnderTest {
  network: Network;
  /** A second object over the same state, after the first was closed. Not started. */
  restarted(): Promise<Network>;
  /** Closes every object made, and removes all of it, even what a failed test left. */
  dispose(): Promise<void>;
}

export interface SuiteOptions {
  /** The gateway is this driver's, and answers for names (default); false: others make the network. */
  ownsGateway?: boolean;
  /** How many attach at once; default 40. */
  crowd?: number;
  /** With at most this many addresses, started. */
  make(options: { capacity?: number }): Promise<NetworkUnderTest>;
}

export const requestOf = (sandboxId: string): AttachRequest => ({
  sandboxId,
  podNamespace: 'default',
  podName: `pod-${sandboxId}`,
  podUid: `uid-${sandboxId}`,
});

export function networkSuite(driver: string, { make, ownsGateway = true, crowd = 40 }: SuiteOptions): void {
  const it = (name: string, body: (under: NetworkUnderTest) => Promise<void>, options: { capacity?: number } = {}) =>
    test(name, async () => {
      const under = await make(options);
      try {
        await body(under);
      } finally {
        await under.dispose();
      }
    });

  describe(`network driver ${driver}`, () => {
    it('attach gives an address inside the subnet, a tap the kernel can name, and the gateway as resolver', async ({
      network,
    }) => {
      const attachment = await network.attach(requestOf('a'));
      assert.equal(attachment.sandboxId, 'a');
      assert.match(attachment.tapName!, /^.{1,15}$/);
      assert.match(attachment.mac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      assert.equal(Number.parseInt(attachment.mac.slice(0, 2), 16) & 3, 2, 'locally administered, not multicast');
      assert.notEqual(attachment.ipv4.address, attachment.ipv4.gateway);
      if (ownsGateway) {
        assert.equal(attachment.ipv4.gateway, network.hostAddress());
        assert.deepEqual(attachment.nameservers, [attachment.ipv4.gateway]);
      }
      assert.ok(attachment.mtu >= 576 && attachment.mtu <= 9000);
    });

    it('attach is idempotent by sandbox', async ({ network }) => {
      const first = await network.attach(requestOf('a'));
      const [second, third] = await Promise.all([network.attach(requestOf('a')), network.attach(requestOf('a'))]);
      assert.deepEqual(second, first);
      assert.deepEqual(third, first);
      assert.equal((await network.list()).length, 1);
    });

    it('a mode that is another network’s is refused, and nothing is attached', async ({ network }) => {
      await assert.rejects(network.attach({ ...requestOf('a'), mode: 'macvlan' }), { reason: 'Unsupported' });
      assert.deepEqual(await network.list(), []);
    });

    it('many attach at once and share nothing', async ({ network }) => {
      const ids = Array.from({ length: crowd }, (_, index) => `sandbox-${index}`);
      const attachments = await Promise.all(ids.map((id) => network.attach(requestOf(id))));
      const tapOf = ({ netnsPath = '', tapName }: Attachment) => `${netnsPath} ${tapName}`;
      assert.equal(new Set(attachments.map(tapOf)).size, crowd);
      assert.equal(new Set(attachments.map((one) => one.mac)).size, crowd);
      assert.equal(new Set(attachments.map((one) => one.ipv4.address)).size, crowd);
      assert.equal((await network.list()).length, crowd);
    });

    it('detach is idempotent and does not touch the others', async ({ network }) => {
      const kept = await network.attach(requestOf('kept'));
      await network.attach(requestOf('gone'));
      await network.detach('gone');
      await network.detach('gone');
      await network.detach('never-there');
      assert.deepEqual(await network.list(), [kept]);
    });

    it('an address that was freed is not the next one given', async ({ network }) => {
      const before = await network.attach(requestOf('a'));
      await network.detach('a');
      assert.notEqual((await network.attach(requestOf('b'))).ipv4.address, before.ipv4.address);
    });

    it(
      'a full subnet refuses by name, and takes again when one left',
      async ({ network }) => {
        for (const id of ['a', 'b', 'c', 'd', 'e']) await network.attach(requestOf(id));
        await assert.rejects(network.attach(requestOf('f')), (error) => isReason(error, 'ResourceExhausted'));
        await network.detach('c');
        await network.attach(requestOf('f'));
      },
      { capacity: 5 },
    );

    it('a restarted server finds every attachment as it was, and gives no address twice', async ({
      network,
      restarted,
    }) => {
      const before = await Promise.all(['a', 'b', 'c'].map((id) => network.attach(requestOf(id))));
      const host = network.hostAddress();
      await network.close();
      const again = await restarted();
      await again.start();
      const byId = (one: { sandboxId: string }, other: { sandboxId: string }) =>
        one.sandboxId.localeCompare(other.sandboxId);
      assert.deepEqual((await again.list()).sort(byId), before);
      assert.equal(again.hostAddress(), host);
      const fresh = await again.attach(requestOf('d'));
      assert.ok(!before.some((one) => one.ipv4.address === fresh.ipv4.address));
      assert.deepEqual(await again.attach(requestOf('b')), before[1]);
    });

    it('nothing works before start, and start is idempotent', async ({ network, restarted }) => {
      await network.start();
      await network.close();
      const again = await restarted();
      await assert.rejects(again.attach(requestOf('a')), (error) => isReason(error, 'FailedPrecondition'));
      await Promise.all([again.start(), again.start()]);
      await again.attach(requestOf('a'));
    });

    it('teardown refuses while a sandbox is attached', async ({ network }) => {
      await network.attach(requestOf('a'));
      await assert.rejects(network.teardown(), (error) => isReason(error, 'FailedPrecondition'));
      await network.detach('a');
      await network.teardown();
    });
  });
}
