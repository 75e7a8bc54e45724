/**
 * The same tests of Pods on the handler "namespace": crun on the host's own kernel. What only a virtual machine has is skipped there; what only the
 * host has stands in runtime-host.test.ts.
 */
process.env.SAMPAN_TEST_HANDLER = 'namespace';

await import('./runtime-container.test.ts');
await import('./runtime-pod.test.ts');
await import('./runtime-kill.test.ts');
