/**
 * Keys for encryption at rest, from a file: one key a line, 32 bytes in base64, the first is written with, all are read with. To change
 * keys, put a new line first. Empty lines and those that begin with # are skipped. A key's id is the beginning of its digest.
 */
import { createHash } from 'node:crypto';
import { SampanError } from '@sampan/api/errors.ts';

export interface EncryptionKey {
  /** Eight hex digits; tells nothing of the key. */
  id: string;
  secret: Buffer;
}

const keyBytes = 32;

/** `path` is for the message. Throws FailedPrecondition. */
export function parseKeys(text: string, path: string): EncryptionKey[] {
  const keys: EncryptionKey[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const secret = Buffer.from(trimmed, 'base64');
    if (!/^[A-Za-z0-9+/]+=*$/.test(trimmed) || secret.length !== keyBytes) {
      throw new SampanError('FailedPrecondition', `${path}, line ${i + 1}: a key is ${keyBytes} bytes in base64`);
    }
    keys.push({ id: createHash('sha256').update(secret).digest('hex').slice(0, 8), secret });
  }
  if (keys.length === 0) throw new SampanError('FailedPrecondition', `${path} holds no key`);
  return keys;
}
