/** docs/conformance-oci.md: a line a program, and why where ours is not crun's result. Pure. */
import { reasons } from './reasons.ts';
import { inWords, isGood, type TapResult } from './tap.ts';

export interface Comparison {
  name: string;
  crun: TapResult;
  /** With handler namespace. */
  host: TapResult;
  /** With handler vm. */
  sampan: TapResult;
}

const handlers = { sampan: 'vm', host: 'host' } as const;
type Column = keyof typeof handlers;

/** Throws when a program fails over us alone and nobody has said why: the page explains each difference. */
export function page(comparisons: Comparison[], untried: string[], versions: { crun: string; tools: string }): string {
  const columns = Object.keys(handlers) as Column[];
  const isWorse = (one: Comparison, column: Column) => !isGood(one[column]) && !isSameFailure(one.crun, one[column]);
  const unexplained = comparisons.flatMap((one) =>
    columns
      .filter((column) => isWorse(one, column) && !reasons[one.name]?.[handlers[column]])
      .map((column) => `${one.name} (${handlers[column]})`),
  );
  if (unexplained.length > 0) throw new Error(`no reason is given for ${unexplained.join(', ')}`);
  const tried = comparisons.length;
  const good = (column: Column | 'crun') => comparisons.filter((one) => isGood(one[column])).length;
  const rows = comparisons.map((one) => {
    const { name, crun, sampan, host } = one;
    return `| ${name} | ${inWords(crun)} | ${inWords(sampan)} | ${inWords(host)} | ${why(one)} |`;
  });
  return `# OCI conformance

What \`npm run oci-validation\` wrote: the validation programs of OCI runtime-tools ${versions.tools}, unmodified, over ${versions.crun} on the host
(shown cgroup v1 alone where the host has both) and over \`sampan-runtime\`, with each container in a VM and with each on the host
(\`sampan-runtime-namespace\`). The programs are of 2018 and test what runtime-spec 1.0 says, a few of them things that it leaves open. Those without points complain
of what is wrong, and pass when they have no complaint.

${good('sampan')} of the ${tried} programs tried pass over \`sampan-runtime\` in VMs, ${good('host')} on the host, ${good('crun')} over crun. Each difference has its reason.${untried.length > 0 ? `\nNot tried yet: ${untried.join(', ')}.` : ''}

| program | crun | in a VM | on the host | why |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

function why({ name, crun, sampan, host }: Comparison): string {
  const of = (column: Column, result: TapResult) =>
    isGood(result) ? '' : (reasons[name]?.[handlers[column]] ?? (isSameFailure(crun, result) ? 'as crun' : ''));
  const [vm, onHost] = [of('sampan', sampan), of('host', host)];
  if (!vm || !onHost || vm === onHost) return vm || onHost;
  return `in a VM: ${vm}; on the host: ${onHost}`;
}

/** Both fail, and we no more than crun does. */
function isSameFailure(crun: TapResult, sampan: TapResult): boolean {
  return !isGood(crun) && sampan.failed.length <= crun.failed.length && (sampan.gaveUp === '' || crun.gaveUp !== '');
}
