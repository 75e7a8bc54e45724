//go:build tools

// Package conformance pins the modules that Kubernetes' own end-to-end tests are built from.
package conformance

import _ "k8s.io/kubernetes/test/e2e"
