package main

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// keepCopy keeps a copy of all ConfigMaps by a shared informer while others write.
func keepCopy(ctx context.Context, _ *rest.Config, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	maps := factory.Core().V1().ConfigMaps()
	pods := factory.Core().V1().Pods()
	var mutex sync.Mutex
	seen := []string{}
	note := func(what string, object any) {
		if meta, ok := object.(metav1.Object); ok && meta.GetName() == "go-watched" {
			mutex.Lock()
			defer mutex.Unlock()
			seen = append(seen, what)
		}
	}
	if _, err := maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { note("add", object) },
		UpdateFunc: func(_, object any) { note("update", object) },
		DeleteFunc: func(object any) { note("delete", object) },
	}); err != nil {
		return err
	}
	pods.Informer()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("no list of %v", kind)
		}
	}
	api := client.CoreV1().ConfigMaps(namespace)
	made, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "go-watched"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Data = map[string]string{"a": "b"}
	if _, err := api.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, "the change in the copy", func() (bool, error) {
		found, err := maps.Lister().ConfigMaps(namespace).Get("go-watched")
		return err == nil && found.Data["a"] == "b", err
	}); err != nil {
		return err
	}
	if err := api.Delete(ctx, "go-watched", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, "add, update and delete in order", func() (bool, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if fmt.Sprint(seen) != "[add update delete]" {
			return false, fmt.Errorf("seen %v", seen)
		}
		return true, nil
	}); err != nil {
		return err
	}
	listed, err := maps.Lister().ConfigMaps(namespace).List(labels.Everything())
	if err != nil {
		return err
	}
	stored, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(listed) != len(stored.Items) {
		return fmt.Errorf("the copy holds %d ConfigMaps, the API %d", len(listed), len(stored.Items))
	}
	return nil
}
