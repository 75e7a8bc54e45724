/** dnsPolicy, dnsConfig and hostAliases: what ends in /etc/resolv.conf and /etc/hosts. The bounds are the C library's. */
import type { HostAlias, PodDNSConfig, PodSpec } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { checkEnum, invalid, invalidFor, required } from '../../../field-errors.ts';
import { dnsSubdomainProblems, ipProblems, searchDomainProblems } from '../../../names.ts';

const policies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const maxNameservers = 3;
const maxSearches = 32;
const maxSearchCharacters = 2048;

export function validateDns({ dnsPolicy, dnsConfig, hostAliases }: PodSpec): Cause[] {
  return [
    ...checkEnum('spec.dnsPolicy', dnsPolicy, policies),
    ...validateConfig(dnsConfig, dnsPolicy),
    ...validateAliases(hostAliases),
  ];
}

function validateConfig(config: PodDNSConfig | undefined, policy: string | undefined): Cause[] {
  const field = 'spec.dnsConfig';
  if (policy === 'None') {
    if (!config) return [required(field, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (!config.nameservers?.length) {
      const detail = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
      return [required(`${field}.nameservers`, detail)];
    }
  }
  const { nameservers = [], searches = [], options = [] } = config ?? {};
  const causes: Cause[] = [];
  if (nameservers.length > maxNameservers) {
    const detail = `must not have more than ${maxNameservers} nameservers`;
    causes.push(invalid(`${field}.nameservers`, nameservers, detail));
  }
  causes.push(
    ...nameservers.flatMap((server, i) => invalidFor(`${field}.nameservers[${i}]`, server, ipProblems(server))),
  );
  if (searches.length > maxSearches) {
    causes.push(invalid(`${field}.searches`, searches, `must not have more than ${maxSearches} search paths`));
  }
  if (searches.join(' ').length > maxSearchCharacters) {
    const detail = `must not have more than ${maxSearchCharacters} characters (including spaces) in the search list`;
    causes.push(invalid(`${field}.searches`, searches, detail));
  }
  for (const [i, search] of searches.entries()) {
    if (search === '.') continue;
    const name = search.replace(/\.$/, '');
    causes.push(...invalidFor(`${field}.searches[${i}]`, name, searchDomainProblems(name)));
  }
  for (const [i, option] of options.entries()) {
    if (!option.name) causes.push(required(`${field}.options[${i}]`, 'must not be empty'));
  }
  return causes;
}

function validateAliases(aliases: HostAlias[] = []): Cause[] {
  return aliases.flatMap(({ ip, hostnames = [] }, i) => [
    ...invalidFor(`spec.hostAliases[${i}].ip`, ip ?? '', ipProblems(ip ?? '')),
    ...hostnames.flatMap((name, j) =>
      invalidFor(`spec.hostAliases[${i}].hostnames[${j}]`, name, dnsSubdomainProblems(name)),
    ),
  ]);
}
