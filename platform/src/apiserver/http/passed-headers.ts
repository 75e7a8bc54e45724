/** Headers of a request or an answer that is passed on to another server. Pure. */
import type { OutgoingHttpHeaders } from 'node:http';

/** What belongs to one connection and not to the request (RFC 9110, 7.6.1), and what is for our ears alone. */
const notPassedOn = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'authorization',
];

/** Whom the caller stands for is settled here; nobody further on has to learn it, or may believe it. */
const impersonation = /^impersonate-/;

export function withoutOurs(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const ofConnection = String(headers.connection ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  const isPassedOn = (name: string) =>
    !notPassedOn.includes(name) && !ofConnection.includes(name) && !impersonation.test(name);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => isPassedOn(name)));
}
