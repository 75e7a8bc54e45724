package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

const lease = "go-leader"

// elect lets two candidates compete for a Lease: one leads, and when it steps down the other takes over.
func elect(ctx context.Context, _ *rest.Config, client kubernetes.Interface) error {
	started := make(chan string, 2)
	candidate := func(ctx context.Context, id string) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: lease, Namespace: namespace},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: id},
		}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock:            lock,
			ReleaseOnCancel: true,
			LeaseDuration:   4 * time.Second,
			RenewDeadline:   3 * time.Second,
			RetryPeriod:     300 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { started <- id },
				OnStoppedLeading: func() {},
			},
		})
	}
	next := func() (string, error) {
		select {
		case id := <-started:
			return id, nil
		case <-ctx.Done():
			return "", fmt.Errorf("nobody leads")
		}
	}
	firstCtx, stepDown := context.WithCancel(ctx)
	defer stepDown()
	go candidate(firstCtx, "one")
	if leader, err := next(); err != nil || leader != "one" {
		return fmt.Errorf("%q leads, wanted \"one\" (%v)", leader, err)
	}
	go candidate(ctx, "two")
	select {
	case id := <-started:
		return fmt.Errorf("%s leads beside one", id)
	case <-time.After(2 * time.Second):
	}
	stepDown()
	leader, err := next()
	if err != nil || leader != "two" {
		return fmt.Errorf("%q leads, wanted \"two\" (%v)", leader, err)
	}
	held, err := client.CoordinationV1().Leases(namespace).Get(ctx, lease, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if held.Spec.HolderIdentity == nil || *held.Spec.HolderIdentity != "two" || *held.Spec.LeaseTransitions < 1 {
		return fmt.Errorf("the Lease says %v", held.Spec)
	}
	return nil
}
