import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import {
  type Answer,
  AUTHENTIC_DATA,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { systemClock } from '../../base/clock.ts';
import { silentLogger } from '../../base/log.ts';
import { createResolver, type ResolverOptions } from './resolver.ts';
import { TcpMessages, tcpFrame } from './tcp-messages.ts';

// An address of this process's own, so that a port free for UDP is free for TCP too.
const gateway = `127.77.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;

type Respond = (query: Packet, transport: 'udp' | 'tcp') => Packet | undefined;

/** A resolver of the host. */
async function newUpstream(respond: Respond) {
  const seen: Packet[] = [];
  const reply = (message: Buffer, transport: 'udp' | 'tcp') => {
    const query = decode(message);
    seen.push(query);
    const answer = respond(query, transport);
    return answer && encode({ type: 'response', id: query.id, questions: query.questions, ...answer });
  };
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const bytes = reply(message, 'udp');
    if (bytes) udp.send(bytes, from.port, from.address);
  });
  udp.bind({ address: gateway, port: 0 });
  await once(udp, 'listening');
  const tcp: Server = createServer((socket) => {
    const messages = new TcpMessages((message) => {
      const bytes = reply(message, 'tcp');
      if (bytes) socket.write(tcpFrame(bytes));
    });
    socket.on('data', (chunk) => messages.push(chunk)).on('error', () => {});
  });
  const { port } = udp.address();
  tcp.listen({ host: gateway, port });
  await once(tcp, 'listening');
  const close = async () => {
    udp.close();
    tcp.close();
  };
  return { address: gateway, port, seen, [Symbol.asyncDispose]: close };
}

async function newResolver(upstreams: { address: string; port: number }[] = [], more: Partial<ResolverOptions> = {}) {
  const resolver = await createResolver({
    address: gateway,
    port: 0,
    clusterDomain: 'cluster.local',
    isPod: (address, namespace) => address === '10.64.0.2' && namespace === 'default',
    ownsReverse: (address) => address.startsWith('10.64.'),
    lookup: (name) => (name === 'db.web.default.svc.cluster.local' ? ['10.64.0.7', '10.64.0.8'] : undefined),
    log: silentLogger,
    clock: systemClock,
    upstreams: async () => upstreams,
    ...more,
  });
  return { port: resolver.port, [Symbol.asyncDispose]: () => resolver.close() };
}

const questionFor = (name: string, type: 'A' | 'AAAA' | 'PTR' | 'TXT' = 'A', more: Partial<Packet> = {}) =>
  encode({ type: 'query', id: 4711, flags: RECURSION_DESIRED, questions: [{ name, type }], ...more });

type Answered = DecodedPacket & { rcode: string };

async function askUdp(port: number, message: Buffer): Promise<Answered & { size: number }> {
  const socket = createSocket('udp4');
  try {
    socket.send(message, port, gateway);
    const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
    return { ...(decode(reply) as Answered), size: reply.length };
  } finally {
    socket.close();
  }
}

async function askTcp(port: number, message: Buffer): Promise<Answered> {
  const socket = connect({ host: gateway, port });
  try {
    socket.write(tcpFrame(message));
    return await new Promise((resolve, reject) => {
      const messages = new TcpMessages((reply) => resolve(decode(reply) as Answered));
      socket.on('data', (chunk) => messages.push(chunk)).on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
    });
  } finally {
    socket.destroy();
  }
}

const addresses = (packet: Packet) => packet.answers?.map((record) => 'data' in record && record.data);

test('cluster names are answered here: the API server, Pods by address, and what lookup knows', async () => {
  await using resolver = await newResolver();
  const ask = async (name: string) => addresses(await askUdp(resolver.port, questionFor(name)));
  assert.deepEqual(await ask('kubernetes.default.svc.cluster.local'), [gateway]);
  assert.deepEqual(await ask('Kubernetes.Default.SVC.cluster.LOCAL'), [gateway]);
  assert.deepEqual(await ask('10-64-0-2.default.pod.cluster.local'), ['10.64.0.2']);
  assert.deepEqual(await ask('db.web.default.svc.cluster.local'), ['10.64.0.7', '10.64.0.8']);
});

test('inside the cluster domain everything else is NXDOMAIN at once, with an SOA, and never asked of the host', async () => {
  await using upstream = await newUpstream(() => ({}));
  await using resolver = await newResolver([upstream]);
  for (const name of [
    'www.debian.org.default.svc.cluster.local',
    '10-64-0-2.other.pod.cluster.local',
    '999-1-1-1.default.pod.cluster.local',
  ]) {
    const reply = await askUdp(resolver.port, questionFor(name));
    assert.equal(reply.rcode, 'NXDOMAIN', name);
    assert.equal(reply.authorities?.[0]?.type, 'SOA');
  }
  assert.equal((await askUdp(resolver.port, questionFor('2.0.64.10.in-addr.arpa', 'PTR'))).rcode, 'NXDOMAIN');
  assert.equal(upstream.seen.length, 0);
});

test('a name that has no AAAA record exists all the same', async () => {
  await using resolver = await newResolver();
  const reply = await askUdp(resolver.port, questionFor('kubernetes.default.svc.cluster.local', 'AAAA'));
  assert.equal(reply.rcode, 'NOERROR');
  assert.deepEqual(reply.answers, []);
});

const one: Answer[] = [{ type: 'A', name: 'example.org', ttl: 9, data: '192.0.2.1' }];

test('other names go to the host’s resolvers: a dead one and one that fails are passed over', async () => {
  await using broken = await newUpstream(() => ({ flags: 2 }));
  await using good = await newUpstream(() => ({ answers: one }));
  await using resolver = await newResolver([{ address: gateway, port: 1 }, broken, good]);
  const reply = await askUdp(
    resolver.port,
    questionFor('example.org', 'A', { flags: RECURSION_DESIRED | AUTHENTIC_DATA }),
  );
  assert.equal(reply.id, 4711);
  assert.deepEqual(addresses(reply), ['192.0.2.1']);
  assert.equal(broken.seen.length, 1);
});

test('a resolver that is silent costs one wait, and none at all costs SERVFAIL', async () => {
  await using silent = await newUpstream(() => undefined);
  await using good = await newUpstream(() => ({ answers: one }));
  await using resolver = await newResolver([silent, good]);
  assert.deepEqual(addresses(await askUdp(resolver.port, questionFor('example.org'))), ['192.0.2.1']);
  await using lonely = await newResolver([]);
  assert.equal((await askUdp(lonely.port, questionFor('example.org'))).rcode, 'SERVFAIL');
});

test('an answer to another question is not believed', async () => {
  await using liar = await newUpstream(() => ({ questions: [{ name: 'evil.org', type: 'A' }], answers: one }));
  await using good = await newUpstream(() => ({ answers: [{ ...one[0]!, data: '192.0.2.2' } as Answer] }));
  await using resolver = await newResolver([liar, good]);
  assert.deepEqual(addresses(await askUdp(resolver.port, questionFor('example.org'))), ['192.0.2.2']);
});

test('a truncated answer is truncated for UDP and whole for TCP', async () => {
  const long: Answer[] = Array.from({ length: 60 }, (_, index) => ({ ...one[0]!, data: `192.0.2.${index}` }) as Answer);
  await using upstream = await newUpstream((_, transport) =>
    transport === 'udp' ? { flags: TRUNCATED_RESPONSE, answers: [] } : { answers: long },
  );
  await using resolver = await newResolver([upstream]);
  assert.equal((await askUdp(resolver.port, questionFor('example.org'))).flag_tc, true);
  assert.equal((await askTcp(resolver.port, questionFor('example.org'))).answers?.length, 60);
});

test('an answer longer than the asker takes becomes a truncated one', async () => {
  const long: Answer[] = Array.from({ length: 60 }, (_, index) => ({ ...one[0]!, data: `192.0.2.${index}` }) as Answer);
  await using upstream = await newUpstream(() => ({ answers: long }));
  await using resolver = await newResolver([upstream]);
  const small = await askUdp(resolver.port, questionFor('example.org'));
  assert.ok(small.flag_tc && small.size <= 512);
  const edns: Partial<Packet> = {
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4096,
        flags: 0,
        options: [],
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: false,
      },
    ],
  };
  const wide = await askUdp(resolver.port, questionFor('example.org', 'A', edns));
  assert.equal(wide.answers?.length, 60);
});

test('hostile packets are dropped or refused, and the next question is answered', async () => {
  await using resolver = await newResolver();
  const socket = createSocket('udp4');
  const valid = questionFor('kubernetes.default.svc.cluster.local');
  const shapes = [
    Buffer.alloc(0),
    valid.subarray(0, 11),
    valid.subarray(0, 20),
    Buffer.concat([valid.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])]),
    Buffer.concat([valid.subarray(0, 12), Buffer.alloc(400, 63)]),
    Buffer.concat([valid.subarray(0, 10), Buffer.from([0xff, 0xff]), valid.subarray(12)]),
  ];
  for (let index = 0; index < 300; index++) {
    const mutant = Buffer.from(valid);
    for (const byte of randomBytes(4)) mutant[byte % mutant.length] = byte;
    shapes.push(mutant, randomBytes(index));
  }
  for (const shape of shapes) {
    await new Promise<void>((resolve) => socket.send(shape, resolver.port, gateway, () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const tcp = connect({ host: gateway, port: resolver.port });
  tcp.on('error', () => {});
  tcp.write(Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(70_000)]));
  assert.deepEqual(addresses(await askUdp(resolver.port, valid)), [gateway]);
  assert.deepEqual(addresses(await askTcp(resolver.port, valid)), [gateway]);
  tcp.destroy();
  socket.close();
});

test('one client that asks without end gets its share and no more', async () => {
  await using silent = await newUpstream(() => undefined);
  await using resolver = await newResolver([silent]);
  const socket = createSocket('udp4');
  const replies: Packet[] = [];
  socket.on('message', (reply) => replies.push(decode(reply)));
  for (let index = 0; index < 100; index++) socket.send(questionFor(`n${index}.org`), resolver.port, gateway);
  while (replies.length < 36) await once(socket, 'message', { signal: AbortSignal.timeout(60_000) });
  assert.ok(silent.seen.length <= 64, `${silent.seen.length} were forwarded`);
  socket.close();
});

test('a port that somebody else has: refused with who it is, or another one is taken', async () => {
  const holder = createServer().listen({ host: gateway, port: 0 });
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  await assert.rejects(newResolver([], { port }), {
    reason: 'FailedPrecondition',
    message: new RegExp(`cannot listen on ${gateway}:${port}: \\S+ \\(process ${process.pid}\\) has that address`),
  });
  {
    await using resolver = await newResolver([], { port, elsewhereIfTaken: true });
    assert.notEqual(resolver.port, port);
    const question = questionFor('kubernetes.default.svc.cluster.local');
    assert.deepEqual(addresses(await askUdp(resolver.port, question)), [gateway]);
    assert.deepEqual(addresses(await askTcp(resolver.port, question)), [gateway]);
  }
  holder.close();
  await once(holder, 'close');
  await using again = await newResolver([], { port, elsewhereIfTaken: true });
  assert.equal(again.port, port);
});
