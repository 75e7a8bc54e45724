// Command clients does with client-go what controllers written in Go do, against the cluster of $KUBECONFIG, and exits 1 when the
// answers are not those of Kubernetes. Run by test/integration/client-go.test.ts: clients informers|election|apply|dynamic.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const namespace = "default"

// Longer than anything here takes, shorter than the test that runs it waits.
const deadline = 40 * time.Second

type program func(ctx context.Context, config *rest.Config, client kubernetes.Interface) error

func main() {
	programs := map[string]program{
		"informers": keepCopy,
		"election":  elect,
		"apply":     applyTwice,
		"dynamic":   dynamicObjects,
	}
	if len(os.Args) != 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: clients informers|election|apply|dynamic")
		os.Exit(2)
	}
	if err := run(programs[os.Args[1]]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run(what program) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	// What typed clients of controllers use; protobuf is asked for first and JSON taken.
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return what(ctx, config, client)
}

// eventually polls until check is content or ctx ends.
func eventually(ctx context.Context, what string, check func() (bool, error)) error {
	var last error
	for {
		done, err := check()
		if err == nil && done {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("never came: %s (last error: %v)", what, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
