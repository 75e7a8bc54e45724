/**
 * A reporter for Node's test runner: the files in which a test failed, one to a line, each once.
 * Source: Node's documentation of `node:test`, custom reporters; event `test:fail`.
 */
interface TestEvent {
  type: string;
  data?: { file?: string; name?: string; todo?: string | boolean };
}

export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const told = new Set<string>();
  for await (const { type, data } of source) {
    // A file that could not be run whole is a test of that name.
    const file = data?.file ?? data?.name;
    if (type !== 'test:fail' || data?.todo || !file || told.has(file)) continue;
    told.add(file);
    yield `${file}\n`;
  }
}
