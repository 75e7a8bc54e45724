/** From what `bench api` measured to its document: series, ratios to the peer, goals. */
import {
  atLeast,
  atMost,
  type BenchDocument,
  describeMachine,
  type Goal,
  round,
  type Series,
  summarise,
} from '../report.ts';

export interface Measured {
  values: Record<string, { unit: string; list: number[] }>;
  clientCounts: number[];
  /** kube-apiserver was there to be compared. */
  hasPeer: boolean;
}

const peer = 'kube-apiserver';

export function apiDocument({ values, clientCounts, hasPeer }: Measured): BenchDocument {
  const series: Record<string, Series> = {};
  for (const [name, { unit, list }] of Object.entries(values)) series[name] = summarise(unit, list);
  const ratios: Record<string, number> = {};
  const compare = (what: string, part: 'p50' | 'p99' | 'max') => {
    for (const other of [peer, 'etcd alone']) {
      const value = series[`${other}: ${what}`]?.[part];
      if (value) ratios[`${what} (${part}), sampan/${other}`] = round(series[`sampan: ${what}`]![part] / value);
    }
  };
  const names = Object.keys(series).filter((name) => name.startsWith('sampan: '));
  for (const name of names.map((one) => one.slice('sampan: '.length)))
    for (const part of /memory|writes|created|CPU/.test(name) ? (['p50'] as const) : (['p50', 'p99'] as const))
      compare(name, part);
  const list = names.find((name) => name.includes('LIST'))!.slice('sampan: '.length);
  const full = names.find((name) => /memory, \d+ objects/.test(name))!.slice('sampan: '.length);
  const theirs = series[`${peer}: ${full}`];
  // The most of several looks at ours over what theirs usually is: it is promised for always.
  if (theirs)
    ratios[`${full} (our max, their p50), sampan/${peer}`] = round(series[`sampan: ${full}`]!.max / theirs.p50);
  const ratio = (what: string, part: string) => ratios[`${what} (${part}), sampan/${peer}`];
  const goals: Goal[] = [
    ...clientCounts.map((clients) => {
      const what = `writes, ${clients} clients`;
      return compared(ratio(what, 'p50'), (measured) =>
        atLeast(`durable writes/s, ${clients} clients, of the peer's`, 1, measured),
      );
    }),
    compared(ratio(list, 'p99'), (measured) => atMost("LIST p99, of the peer's", 1, measured)),
    atMost('watch delivery p99', 50, series['sampan: watch delivery']?.p99 ?? Number.NaN, 'ms'),
    atMost('watch deliveries missing', 0, series['sampan: deliveries missing']?.max ?? Number.NaN),
    compared(ratio('memory, idle', 'p50'), (measured) => atMost("memory idle, of the peer's", 0.25, measured)),
    compared(ratio(full, 'our max, their p50'), (measured) => atMost(`${full}, of the peer's`, 0.25, measured)),
  ];
  const acceleration = hasPeer ? 'not needed' : 'not needed; no peer on this machine';
  return { bench: 'api', machine: describeMachine(acceleration), series, ratios, goals };
}

/** Without a peer the goal stands, and is not met. */
function compared(ratio: number | undefined, goal: (ratio: number) => Goal): Goal {
  return ratio === undefined ? { ...goal(Number.NaN), measured: 'no peer', met: false } : goal(ratio);
}
