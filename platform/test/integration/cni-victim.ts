/** A server that attaches one sandbox and is killed over it by the chain's last plugin. Arguments: the driver's options and the id, as JSON. */
import { silentLogger } from '../../src/base/log.ts';
import { createCniNetwork } from '../../src/network/cni/cni-network.ts';
import { requestOf } from '../../src/network/network-suite.ts';

const { sandboxId, ...options } = JSON.parse(process.argv[2] ?? '{}');
const network = await createCniNetwork({ ...options, log: silentLogger });
await network.start();
await network.attach(requestOf(sandboxId));
console.log('attached');
