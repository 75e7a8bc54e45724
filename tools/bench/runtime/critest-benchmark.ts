/** critest's own benchmark mode: the life of Pods and of containers, operation by operation, as critest measures them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTo } from '../../conformance/run-to.ts';
import { criTool } from '../../critest/go-programs.ts';
import type { CriPeer } from './cri-peers.ts';

/** Of one peer's round; then it is given up, and the others' figures are not lost. */
const benchmarkSeconds = 180;

/** sigs.k8s.io/cri-tools, pkg/benchmark/util.go. */
interface ResultsFile {
  operationsNames: string[];
  datapoints: { operationsDurationsNs: number[] }[];
}

/** Operations by name, milliseconds of each sample; of what critest got through. Throws with its last words where that is nothing. */
export async function benchmarkOf(peer: CriPeer, samples: number): Promise<Map<string, number[]>> {
  const directory = await mkdtemp(join(tmpdir(), 'sampan-critest-benchmark-'));
  try {
    const parameters = join(directory, 'parameters.yaml');
    const numbers = [`podsNumber: ${samples}`, `containersNumber: ${samples}`, 'containerBenchmarkTimeoutSeconds: 120'];
    await writeFile(parameters, `${numbers.join('\n')}\n`);
    const logPath = join(directory, 'log');
    const flags = [
      ...['-benchmark', '-benchmarking-params-file', parameters, '-benchmarking-output-dir', directory],
      ...['-runtime-endpoint', `unix://${peer.socket}`, '-runtime-handler', peer.runtimeHandler],
      ...['-ginkgo.no-color', '-ginkgo.focus', 'lifecycle of PodSandbox|basic operations on Container'],
      // Matched all the same; it measures nothing of its own and fails where it takes long.
      ...['-ginkgo.skip', 'start a container from scratch'],
    ];
    const code = await runTo(['timeout', String(benchmarkSeconds), await criTool('critest'), ...flags], {
      cwd: directory,
      logPath,
    });
    const files = (await readdir(directory)).filter((name) => name.endsWith('_data.json'));
    if (files.length === 0)
      throw new Error(`critest -benchmark ended with ${code}: ${(await readFile(logPath, 'utf8')).trim().slice(-400)}`);
    const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
    return new Map(texts.flatMap((text) => operations(JSON.parse(text))));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const operations = ({ operationsNames, datapoints }: ResultsFile): [string, number[]][] =>
  operationsNames.map((name, index) => [
    name,
    datapoints.map(({ operationsDurationsNs }) => operationsDurationsNs[index]! / 1e6),
  ]);
