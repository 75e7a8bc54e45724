import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { test } from 'node:test';
import { portHolder, socketsAt } from './port-holder.ts';

const self = `${basename(process.argv0)} (process ${process.pid})`;

test('who listens is named, at one address or at all of them; who is merely connected is not', async () => {
  const udp = createSocket('udp4').bind({ address: '127.0.0.1' });
  const tcp = createServer().listen({ host: '::', port: 0 });
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  const { port } = tcp.address() as { port: number };
  assert.equal(await portHolder('127.0.0.1', udp.address().port), self);
  assert.equal(await portHolder('127.0.0.2', udp.address().port), undefined);
  assert.equal(await portHolder('127.0.0.2', port), self);
  udp.close();
  tcp.close();
  await once(tcp, 'close');
  assert.equal(await portHolder('127.0.0.2', port), undefined);
});

test('a table of sockets is read by address, port and state', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 01006F0A:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0',
    '   1: 00000000:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0',
    '   2: 02006F0A:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0',
    '   3: 01006F0A:0035 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0 100 0 0 10 0',
    '   4: 01006F0A:0036 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 15 1 0 100 0 0 10 0',
  ].join('\n');
  assert.deepEqual(socketsAt(table, { address: '10.111.0.1', port: 53, isTcp: true }), ['11', '12']);
  assert.deepEqual(socketsAt(table, { address: '10.111.0.1', port: 53, isTcp: false }), ['11', '12', '14']);
});
