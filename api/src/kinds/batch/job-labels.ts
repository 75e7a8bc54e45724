/** Names a Job and its Pods carry (k8s.io/api/batch/v1 well-known labels and annotations). */
export const controllerUidLabel = 'batch.kubernetes.io/controller-uid';
export const jobNameLabel = 'batch.kubernetes.io/job-name';
export const legacyControllerUidLabel = 'controller-uid';
export const legacyJobNameLabel = 'job-name';
/** Label and annotation of a Pod of an Indexed Job. */
export const completionIndexKey = 'batch.kubernetes.io/job-completion-index';
/** Annotations of Pods under backoffLimitPerIndex (KEP-3850). */
export const indexFailureCountKey = 'batch.kubernetes.io/job-index-failure-count';
export const indexIgnoredFailureCountKey = 'batch.kubernetes.io/job-index-ignored-failure-count';
/** Holds a Pod until the Job has counted it (KEP-2307). */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
/** Annotation of a CronJob's Job: the time it was scheduled for, in the CronJob's zone. */
export const scheduledTimeKey = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** spec.managedBy of Jobs that are ours; absent means the same. */
export const jobManager = 'kubernetes.io/job-controller';
