/** What an update of a Service may not change: validation.ValidateServiceUpdate. */
import type { Service } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../errors.ts';
import { invalid } from '../../field-errors.ts';
import { hasAddress } from './defaults.ts';

export function validateServiceUpdate(service: Service, old: Service): Cause[] {
  const [spec, before] = [service.spec ?? {}, old.spec ?? {}];
  const causes: Cause[] = [];
  const address = before.clusterIPs?.[0];
  if (hasAddress(spec) && hasAddress(before) && address && spec.clusterIPs?.[0] !== address) {
    causes.push(invalid('spec.clusterIPs[0]', spec.clusterIPs ?? [], 'may not change once set'));
  }
  const stays = before.type === 'LoadBalancer' && spec.type === 'LoadBalancer';
  if (stays && (spec.loadBalancerClass ?? '') !== (before.loadBalancerClass ?? '')) {
    causes.push(invalid('spec.loadBalancerClass', spec.loadBalancerClass ?? null, 'may not change once set'));
  }
  return causes;
}
