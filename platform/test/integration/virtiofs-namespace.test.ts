/** The host's directories in Pods of the handler "namespace": the same tests. */
process.env.SAMPAN_TEST_HANDLER = 'namespace';

await import('./virtiofs-pods.test.ts');
