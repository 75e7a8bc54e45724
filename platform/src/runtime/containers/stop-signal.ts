/** The signal that StopContainer sends first: the Pod's lifecycle.stopSignal, else the image's, else SIGTERM. Pure. */
import type { Image } from '../../images/images.ts';
import * as cri from '../generated/cri.ts';
import { signalNumber } from '../spec/process.ts';

const SIGTERM = 15;

export function stopSignalOf(config: cri.ContainerConfig, image: Image): number {
  const asked = Object.entries(cri.Signal).find(([, value]) => value === config.stopSignal)?.[0];
  return signalNumber(asked?.replace(/^SIGNAL_/, '')) ?? signalNumber(image.config.StopSignal) ?? SIGTERM;
}
