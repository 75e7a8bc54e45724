/** A single write may take less than it is given, on a disk that is almost full for one. */
import type { FileHandle } from 'node:fs/promises';

export async function writeFully(file: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await file.write(data, done, data.length - done, offset + done);
    done += bytesWritten;
  }
}
