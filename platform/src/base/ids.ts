/** Names and ids. */
import { randomBytes, randomUUID } from 'node:crypto';

/** A Kubernetes UID: RFC 4122 version 4. */
export const newUid = (): string => randomUUID();

/** `bytes` random bytes in lower-case hex: sandbox and container ids (32 bytes, as containerd's), machine ids (16). */
export const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex');

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** The suffix that generateName adds: apimachinery's alphabet, which cannot spell words. */
export function nameSuffix(length = 5): string {
  return Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('');
}
