/** How a pull by the node goes, and ends: what nodes/<name>/proxy/images/pull answers, line by line. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Reason, SampanError } from '@sampan/api/errors.ts';
import { connectionLost, registryMend, withMend } from './failure.ts';
import { hungUp } from './https.ts';

export interface Image {
  id: string;
  repoTags: string[];
  repoDigests: string[];
  sizeBytes: number;
}

interface PullLine {
  progress?: { phase: string; doneBytes: number; totalBytes: number };
  image?: Image;
  error?: { reason: Reason; message: string };
}

/** From the answer's lines. Throws what the server says, and a Failure where the server went away before it had said how it ended. */
export async function pulledImage(
  answer: Readable,
  onProgress: (progress: Required<PullLine>['progress']) => void,
): Promise<Image> {
  let image: Image | undefined;
  try {
    for await (const text of createInterface({ input: answer })) {
      const line = parsed(text);
      if (line.error) throw ofPull(line.error);
      if (line.progress) onProgress(line.progress);
      image = line.image ?? image;
    }
  } catch (error) {
    throw hungUp(error as NodeJS.ErrnoException, whilePulling);
  }
  if (!image) throw connectionLost(whilePulling);
  return image;
}

/** What a pull's failure asks of whoever wanted it. */
const pullMends: Partial<Record<Reason, string>> = {
  NotFound: 'check the name and the tag of the image',
  Unauthorized: registryMend,
  ServiceUnavailable:
    'check the name of the registry and the network of this host; ./sampan image import needs neither',
};

const ofPull = ({ reason, message }: Required<PullLine>['error']): SampanError =>
  withMend(new SampanError(reason, message), pullMends[reason]);

const whilePulling =
  'the server ended while it pulled the image; a pull that is tried again keeps the layers that are there';

/** A line that was cut off is the last one. */
function parsed(text: string): PullLine {
  try {
    return JSON.parse(text) as PullLine;
  } catch {
    return {};
  }
}
