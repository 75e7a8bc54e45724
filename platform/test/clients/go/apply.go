package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymeta "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// applyTwice applies a Deployment as two managers: one conflicts, forces, and what it no longer names goes.
func applyTwice(ctx context.Context, _ *rest.Config, client kubernetes.Interface) error {
	api := client.AppsV1().Deployments(namespace)
	labels := map[string]string{"app": "go"}
	deployment := func(replicas int32, env ...*corev1.EnvVarApplyConfiguration) *appsv1.DeploymentApplyConfiguration {
		container := corev1.Container().WithName("main").WithImage("registry.example/app:1").WithEnv(env...)
		template := corev1.PodTemplateSpec().WithLabels(labels).WithSpec(corev1.PodSpec().WithContainers(container))
		selector := applymeta.LabelSelector().WithMatchLabels(labels)
		spec := appsv1.DeploymentSpec().WithReplicas(replicas).WithSelector(selector).WithTemplate(template)
		return appsv1.Deployment("go-applied", namespace).WithSpec(spec)
	}
	color := corev1.EnvVar().WithName("COLOR").WithValue("blue")
	made, err := api.Apply(ctx, deployment(1, color), metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	if len(made.Spec.Template.Spec.Containers[0].Env) != 1 {
		return fmt.Errorf("applied variables are %v", made.Spec.Template.Spec.Containers[0].Env)
	}
	_, err = api.Apply(ctx, deployment(2), metav1.ApplyOptions{FieldManager: "two"})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("another manager's number of replicas gave %v, wanted a conflict", err)
	}
	if _, err := api.Apply(ctx, deployment(2), metav1.ApplyOptions{FieldManager: "two", Force: true}); err != nil {
		return err
	}
	// "one" gives up its variable, and with it the only claim to it; replicas now belong to "two".
	config := deployment(2)
	config.Spec.Replicas = nil
	last, err := api.Apply(ctx, config, metav1.ApplyOptions{FieldManager: "one"})
	if err != nil {
		return err
	}
	if *last.Spec.Replicas != 2 || len(last.Spec.Template.Spec.Containers[0].Env) != 0 {
		return fmt.Errorf("left are %d replicas and %v", *last.Spec.Replicas, last.Spec.Template.Spec.Containers[0].Env)
	}
	extracted, err := appsv1.ExtractDeployment(last, "two")
	if err != nil {
		return err
	}
	if extracted.Spec == nil || extracted.Spec.Replicas == nil || *extracted.Spec.Replicas != 2 {
		return fmt.Errorf("managedFields say that \"two\" owns %v", extracted.Spec)
	}
	return nil
}
