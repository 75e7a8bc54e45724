/** What SAMPAN_ACCELERATION says, for hosts whose KVM does what a trial does not show. */
import { SampanError } from '@sampan/api/errors.ts';

/** Undefined: the driver finds out. Throws Invalid for what there is not. */
export function accelerationSetting(text: string | undefined): 'kvm' | 'tcg' | undefined {
  if (!text) return undefined;
  if (text === 'kvm' || text === 'tcg') return text;
  throw new SampanError('Invalid', `SAMPAN_ACCELERATION=${text}: machines run on kvm or tcg`);
}
