/** Tells whether a container's definition moved under a running container: of what may be changed in place, only the image makes a new run needed. */
import { createHash } from 'node:crypto';
import type { Container } from 'kubernetes-types/core/v1.js';

export function specHash(container: Pick<Container, 'name' | 'image'>): string {
  return createHash('sha256')
    .update(JSON.stringify([container.name, container.image ?? '']))
    .digest('hex')
    .slice(0, 8);
}
