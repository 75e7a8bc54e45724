//go:build tools

// Package conformance pins the modules that Kubernetes' own end-to-end tests, what runs in their images, and the API server
// that ours is compared with are built from.
package conformance

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/test/e2e"
	_ "k8s.io/kubernetes/test/images/agnhost"
	_ "k8s.io/kubernetes/test/images/nonewprivs"
)
