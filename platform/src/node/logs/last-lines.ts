/** The end of a log as text: what stands in for a termination message (terminationMessagePolicy FallbackToLogsOnError). */
import { type ReadLogOptions, readLog } from './read-log.ts';

export async function lastLines(path: string, limit: { lines: number; bytes: number }): Promise<string> {
  const options: ReadLogOptions = { path, tailLines: limit.lines, timestamps: false };
  const chunks: Uint8Array[] = [];
  for await (const chunk of readLog(options)) chunks.push(chunk);
  const all = Buffer.concat(chunks);
  return all.subarray(Math.max(0, all.length - limit.bytes)).toString('utf8');
}
