/** docs/conformance.md from the results. Pure. */
import type { Results } from './results.ts';
import { excluded, type Place, placeOf } from './scope.ts';

const places: Record<Place, string> = {
  api: 'against the API server with its controllers and a node without machines',
  machines: 'on a whole instance, each Pod in a machine of its own',
};

/** `all` are the names of every conformance test of that version. */
export function writePage(version: string, all: string[], results: Results): string {
  const inScope = all.filter((name) => !excluded(name));
  const outcomeOf = (name: string) => results[name]?.outcome;
  const passed = inScope.filter((name) => outcomeOf(name) === 'passed');
  const failed = inScope.filter((name) => outcomeOf(name) === 'failed');
  const missing = inScope.filter((name) => !['passed', 'failed'].includes(outcomeOf(name) ?? ''));
  const share = Math.round((1000 * passed.length) / Math.max(1, inScope.length)) / 10;
  return `# Conformance

Kubernetes' own tests (\`k8s.io/kubernetes/test/e2e\` ${version}), built from its Go modules and run by \`npm run conformance\`. Of
${all.length} conformance tests ${inScope.length} are in scope: ${passed.length} passed (${share}%), ${failed.length} failed, ${missing.length} were not tried or did not come to an end. The command
fails when a test listed as passed no longer passes.

${(Object.keys(places) as Place[]).map((place) => placeLine(place, inScope, results)).join('\n')}

The images that the tests ask for are made here: agnhost from Kubernetes' sources, busybox from Debian's package; httpd, nginx and pause
are stand-ins that do what the tests look at (\`tools/conformance/images.ts\`).

## Passed

${list(passed)}

## Failed

${list(failed, (name) => `: ${results[name]?.message ?? ''}`)}

## Not tried, or not finished

${list(missing)}

## Not in scope

${byReason(all)}
`;
}

function placeLine(place: Place, inScope: string[], results: Results): string {
  const names = inScope.filter((name) => placeOf(name) === place);
  const passed = names.filter((name) => results[name]?.outcome === 'passed').length;
  const seconds = names.reduce((sum, name) => sum + (results[name]?.seconds ?? 0), 0);
  return `- ${passed} of ${names.length} pass ${places[place]}; one after another they take ${Math.round(seconds / 60)} minutes on two cores without KVM.`;
}

function list(names: string[], note: (name: string) => string = () => ''): string {
  return (
    names
      .sort()
      .map((name) => `- ${name}${note(name)}`)
      .join('\n') || '- none'
  );
}

function byReason(all: string[]): string {
  const groups = Map.groupBy(
    all.filter((name) => excluded(name)),
    (name) => excluded(name)!,
  );
  return [...groups].map(([reason, names]) => `### ${reason}\n\n${list(names)}`).join('\n\n');
}
