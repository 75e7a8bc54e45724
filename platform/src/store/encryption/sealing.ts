/**
 * One value, encrypted: AES-256-GCM, bound to its place in the store so that values cannot be exchanged for one another.
 *
 *   sampan:aes256gcm:v1:<key id>: | 12 bytes nonce | ciphertext | 16 bytes tag
 *
 * A value without that beginning is plain: what was written before there was a key.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';
import type { EncryptionKey } from './keys.ts';

const algorithm = 'aes-256-gcm';
const head = 'sampan:aes256gcm:v1:';
const idLength = 8;
const prefixBytes = head.length + idLength + 1;
const nonceBytes = 12;
const tagBytes = 16;

export function seal(key: EncryptionKey, place: string, value: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key.secret, nonce);
  cipher.setAAD(Buffer.from(place));
  const body = [cipher.update(value), cipher.final()];
  return Buffer.concat([Buffer.from(`${head}${key.id}:`), nonce, ...body, cipher.getAuthTag()]);
}

/** The id of the key a value was encrypted with; undefined for a plain one. */
export function keyIdOf(value: Uint8Array): string | undefined {
  const start = Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, prefixBytes)).toString('latin1');
  return start.length === prefixBytes && start.startsWith(head) ? start.slice(head.length, -1) : undefined;
}

/** A plain value as it is. Throws FailedPrecondition when the key is missing, or the value is not what was written there. */
export function unseal(keys: readonly EncryptionKey[], place: string, value: Uint8Array): Uint8Array {
  const id = keyIdOf(value);
  if (id === undefined) return value;
  const key = keys.find((one) => one.id === id);
  if (!key) throw new SampanError('FailedPrecondition', `${place} is encrypted with key ${id}, which is not at hand`);
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const bodyStart = prefixBytes + nonceBytes;
  const bodyEnd = bytes.length - tagBytes;
  if (bodyEnd < bodyStart) throw broken(place);
  const decipher = createDecipheriv(algorithm, key.secret, bytes.subarray(prefixBytes, bodyStart), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(bytes.subarray(bodyEnd));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(bodyStart, bodyEnd)), decipher.final()]);
  } catch {
    throw broken(place);
  }
}

function broken(place: string): SampanError {
  return new SampanError('FailedPrecondition', `${place} was changed behind the back of its encryption`);
}
