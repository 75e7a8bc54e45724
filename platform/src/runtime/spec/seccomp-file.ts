/**
 * Reads a seccomp profile of kind Localhost: a file of the host that the caller of CRI names by its absolute path. Callers of CRI are root; Pods of our own
 * API name a file below the node's seccomp directory, and the node makes the path (node/config/security.ts).
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SampanError } from '@sampan/api/errors.ts';
import * as cri from '../generated/cri.ts';

const maxBytes = 256 * 1024;

/** The file's text when the container has such a profile. Throws Invalid, NotFound. */
export async function localhostSeccomp(
  security: cri.LinuxContainerSecurityContext | undefined,
): Promise<string | undefined> {
  const { seccomp, privileged } = security ?? {};
  if (seccomp?.profileType !== cri.SecurityProfile_ProfileType.Localhost || privileged) return undefined;
  const path = seccomp.localhostRef ?? '';
  if (!path.startsWith('/') || path.length > 4096 || path.includes('\0'))
    throw new SampanError('Invalid', `seccomp profile "${path}": wanted an absolute path`);
  // A pipe of that name would be waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (error: NodeJS.ErrnoException) => {
      throw new SampanError('NotFound', `seccomp profile ${path} cannot be read: ${error.code}`);
    },
  );
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new SampanError('Invalid', `seccomp profile ${path} is no file`);
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let got = 1; got > 0 && length < buffer.length; length += got)
      got = (await file.read(buffer, length, buffer.length - length, length)).bytesRead;
    if (length > maxBytes) throw new SampanError('Invalid', `seccomp profile ${path} is over ${maxBytes / 1024} KiB`);
    return buffer.toString('utf8', 0, length);
  } finally {
    await file.close();
  }
}
