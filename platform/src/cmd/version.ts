/** Sampan's own version, as `status`, the Node object and /version say it. */
export const version = '0.1.0';
