import { storeSuite } from '../store-suite.ts';
import { createMemoryStore } from './memory-store.ts';

storeSuite('memory', async ({ maxEvents }) => {
  const store = createMemoryStore({ watchLimits: { maxEvents, maxBytes: 64 << 20 } });
  return { store, dispose: () => store.close() };
});
