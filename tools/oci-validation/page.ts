/** docs/conformance-oci.md: a line a program, and why where ours is not crun's result. Pure. */
import { reasons } from './reasons.ts';
import { inWords, isGood, type TapResult } from './tap.ts';

export interface Comparison {
  name: string;
  crun: TapResult;
  sampan: TapResult;
}

/** Throws when a program fails over us alone and nobody has said why: the page explains each difference. */
export function page(comparisons: Comparison[], untried: string[], versions: { crun: string; tools: string }): string {
  const worse = comparisons.filter(({ crun, sampan }) => !isGood(sampan) && !isSameFailure(crun, sampan));
  const unexplained = worse.filter(({ name }) => !reasons[name]);
  if (unexplained.length > 0)
    throw new Error(`no reason is given for ${unexplained.map(({ name }) => name).join(', ')}`);
  const tried = comparisons.length;
  const good = comparisons.filter(({ sampan }) => isGood(sampan)).length;
  const goodCrun = comparisons.filter(({ crun }) => isGood(crun)).length;
  const rows = comparisons.map(({ name, crun, sampan }) => {
    const why = isGood(sampan) ? '' : (reasons[name] ?? 'as crun');
    return `| ${name} | ${inWords(crun)} | ${inWords(sampan)} | ${why} |`;
  });
  return `# OCI conformance

What \`npm run oci-validation\` wrote: the validation programs of OCI runtime-tools ${versions.tools}, unmodified, over ${versions.crun} on the host
(shown cgroup v1 alone where the host has both) and over \`sampan-runtime\`, where each container is in a VM. The programs are of 2018 and test
what runtime-spec 1.0 says, a few of them things that it leaves open.

${good} of the ${tried} programs tried pass over \`sampan-runtime\`, ${goodCrun} over crun. Each difference has its reason.${untried.length > 0 ? `\nNot tried yet: ${untried.join(', ')}.` : ''}

| program | crun | sampan-runtime | why |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** Both fail, and we no more than crun does. */
function isSameFailure(crun: TapResult, sampan: TapResult): boolean {
  return !isGood(crun) && sampan.failed.length <= crun.failed.length && (sampan.gaveUp === '' || crun.gaveUp !== '');
}
