/** A port that is given by number, or by the name one of the container's ports has. */
import { SampanError } from '@sampan/api/errors.ts';
import type { Container, EphemeralContainer } from 'kubernetes-types/core/v1.js';

/** Throws Invalid naming the port. */
export function portNumber(
  container: Pick<Container | EphemeralContainer, 'name' | 'ports'>,
  port: number | string,
): number {
  const number = typeof port === 'number' ? port : Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65536) return number;
  const named = container.ports?.find((one) => one.name === port)?.containerPort;
  if (named) return named;
  throw new SampanError('Invalid', `couldn't find port: ${JSON.stringify(port)} of container ${container.name}`);
}
