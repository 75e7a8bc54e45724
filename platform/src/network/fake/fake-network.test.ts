import { networkSuite } from '../network-suite.ts';
import { FakeNetwork, newFakeNetworkState } from './fake-network.ts';

networkSuite('fake', {
  make: async ({ capacity }) => {
    const state = newFakeNetworkState();
    const network = new FakeNetwork({ state, capacity });
    await network.start();
    return { network, restarted: async () => new FakeNetwork({ state, capacity }), dispose: async () => {} };
  },
});
