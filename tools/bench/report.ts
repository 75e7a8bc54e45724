/** The one form in which every benchmark of the project says what it measured. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';

export interface Series {
  unit: string;
  n: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export interface Goal {
  name: string;
  goal: string;
  measured: number | string;
  met: boolean;
}

export interface BenchDocument {
  bench: string;
  machine: Record<string, string | number>;
  series: Record<string, Series>;
  ratios: Record<string, number>;
  goals: Goal[];
}

export function summarise(unit: string, values: number[]): Series {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN);
  return { unit, n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export const round = (value: number): number => Math.round(value * 100) / 100;

export function describeMachine(acceleration: string): BenchDocument['machine'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    acceleration,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** A goal of the form "at most". */
export function atMost(name: string, limit: number, measured: number, unit = ''): Goal {
  return { name, goal: `<= ${limit}${unit && ` ${unit}`}`, measured: round(measured), met: measured <= limit };
}

export function atLeast(name: string, limit: number, measured: number, unit = ''): Goal {
  return { name, goal: `>= ${limit}${unit && ` ${unit}`}`, measured: round(measured), met: measured >= limit };
}

export function print(document: BenchDocument, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
    return;
  }
  const machine = Object.entries(document.machine)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
  process.stdout.write(`${document.bench} on ${machine}\n\n`);
  columns([
    ['', 'unit', 'n', 'p50', 'p95', 'p99', 'max'],
    ...Object.entries(document.series).map(([name, s]) => [name, s.unit, s.n, s.p50, s.p95, s.p99, s.max]),
  ]);
  columns([['ratio', ''], ...Object.entries(document.ratios)]);
  columns([
    ['goal', 'wanted', 'measured', ''],
    ...document.goals.map((goal) => [goal.name, goal.goal, goal.measured, goal.met ? 'met' : 'NOT MET']),
  ]);
}

function columns(rows: (string | number)[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column] ?? '').length)));
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => String(cell).padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    );
  process.stdout.write('\n');
}
