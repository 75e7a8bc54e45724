/** What one probe came to. `unknown`: it could not be made, which counts neither way. */
export interface Outcome {
  result: 'success' | 'failure' | 'warning' | 'unknown';
  output: string;
}
