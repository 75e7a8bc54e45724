package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// dynamicObjects finds kinds by discovery and handles objects without their types, whole and as metadata alone.
func dynamicObjects(ctx context.Context, config *rest.Config, client kubernetes.Interface) error {
	groups, lists, err := client.Discovery().ServerGroupsAndResources()
	if err != nil {
		return err
	}
	if len(groups) < 10 {
		return fmt.Errorf("discovery knows %d groups", len(groups))
	}
	deletable := discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "watch", "delete"}}, lists)
	if len(deletable) == 0 {
		return fmt.Errorf("nothing can be listed, watched and deleted")
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	resource := schema.GroupVersionResource{Version: "v1", Resource: "services"}
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Service",
		"metadata":   map[string]any{"generateName": "go-"},
		"spec":       map[string]any{"ports": []any{map[string]any{"port": int64(80)}}},
	}}
	made, err := objects.Resource(resource).Namespace(namespace).Create(ctx, service, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	address, _, _ := unstructured.NestedString(made.Object, "spec", "clusterIP")
	if address == "" {
		return fmt.Errorf("a Service without an address: %v", made.Object)
	}
	partial, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	found, err := partial.Resource(resource).Namespace(namespace).Get(ctx, made.GetName(), metav1.GetOptions{})
	if err != nil || found.UID != made.GetUID() {
		return fmt.Errorf("its metadata is %v (%v)", found, err)
	}
	return objects.Resource(resource).Namespace(namespace).Delete(ctx, made.GetName(), metav1.DeleteOptions{})
}
