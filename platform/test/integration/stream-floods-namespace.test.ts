/** The same floods on the handler "namespace". */
process.env.SAMPAN_TEST_HANDLER = 'namespace';

await import('./stream-floods.test.ts');
