package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/cri-client/pkg/logs"
	"k8s.io/klog/v2"
)

// calls goes through what a kubelet asks of its runtime. The library itself refuses answers that lack what CRI demands of them.
func calls(s *session) error {
	steps := []func(*session) error{info, lists, execs, security, ownNamespaces, statistics, resources, logFiles, events, refusals}
	for _, step := range steps {
		if err := step(s); err != nil {
			return err
		}
	}
	return nil
}

func info(s *session) error {
	version, err := s.runtime.Version(s.ctx, "v1")
	if err != nil {
		return err
	}
	answer, err := s.runtime.Status(s.ctx, true)
	if err != nil {
		return err
	}
	for _, condition := range answer.Status.Conditions {
		if !condition.Status {
			return fmt.Errorf("condition %s is false: %s", condition.Type, condition.Message)
		}
	}
	config, err := s.runtime.RuntimeConfig(s.ctx)
	if err != nil {
		return err
	}
	return first(
		want("runtime API version", version.RuntimeApiVersion, "v1"),
		want("cgroup driver", config.Linux.CgroupDriver, runtimeapi.CgroupDriver_CGROUPFS),
		s.runtime.UpdateRuntimeConfig(s.ctx, &runtimeapi.RuntimeConfig{NetworkConfig: &runtimeapi.NetworkConfig{PodCidr: "10.9.0.0/24"}}),
	)
}

func lists(s *session) error {
	sandbox, err := s.runtime.PodSandboxStatus(s.ctx, s.sandboxID, true)
	if err != nil {
		return err
	}
	if sandbox.Status.Network.GetIp() == "" {
		return fmt.Errorf("the sandbox has no address")
	}
	ready := &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY}
	sandboxes, err := s.runtime.ListPodSandbox(s.ctx, &runtimeapi.PodSandboxFilter{Id: s.sandboxID, State: ready})
	if err != nil {
		return err
	}
	created := &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_CREATED}
	none, err := s.runtime.ListContainers(s.ctx, &runtimeapi.ContainerFilter{PodSandboxId: s.sandboxID, State: created})
	if err != nil {
		return err
	}
	all, err := s.runtime.ListContainers(s.ctx, &runtimeapi.ContainerFilter{PodSandboxId: s.sandboxID})
	if err != nil {
		return err
	}
	image, err := s.images.ImageStatus(s.ctx, &runtimeapi.ImageSpec{Image: s.image}, false)
	if err != nil {
		return err
	}
	if image.Image.GetId() == "" || image.Image.GetSize_() == 0 {
		return fmt.Errorf("the image has no id or no size: %v", image.Image)
	}
	container, err := s.runtime.ContainerStatus(s.ctx, s.containerID, true)
	if err != nil {
		return err
	}
	return first(
		want("ready sandboxes", len(sandboxes), 1),
		want("containers that are only created", len(none), 0),
		want("containers", len(all), 1),
		want("state", container.Status.State, runtimeapi.ContainerState_CONTAINER_RUNNING),
		want("image id", container.Status.ImageId, image.Image.GetId()),
	)
}

func execs(s *session) error {
	stdout, stderr, err := s.runtime.ExecSync(s.ctx, s.containerID, []string{"sh", "-c", "echo out; echo err >&2"}, 20*time.Second)
	if err != nil {
		return err
	}
	_, _, failed := s.runtime.ExecSync(s.ctx, s.containerID, []string{"sh", "-c", "exit 3"}, 20*time.Second)
	code, ok := failed.(interface{ ExitStatus() int })
	if !ok || code.ExitStatus() != 3 {
		return fmt.Errorf("exit 3 came back as %v", failed)
	}
	_, _, late := s.runtime.ExecSync(s.ctx, s.containerID, []string{"sleep", "30"}, time.Second)
	return first(
		want("stdout", string(stdout), "out\n"),
		want("stderr", string(stderr), "err\n"),
		want("a command that takes too long", errors.Is(late, remote.ErrCommandTimedOut), true),
	)
}

// security: zeros say something in a security context (user 0, profile RuntimeDefault), and proto3 leaves them out.
func security(s *session) error {
	id, err := s.container("secure", "id -u; id -G; grep -c . /proc/self/status; grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; touch /x || echo read-only", func(config *runtimeapi.ContainerConfig) {
		config.Linux.SecurityContext = &runtimeapi.LinuxContainerSecurityContext{
			RunAsUser:          &runtimeapi.Int64Value{Value: 0},
			RunAsGroup:         &runtimeapi.Int64Value{Value: 7},
			SupplementalGroups: []int64{1234},
			Capabilities:       &runtimeapi.Capability{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"NET_BIND_SERVICE"}},
			NoNewPrivs:         true,
			ReadonlyRootfs:     true,
			NamespaceOptions:   &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
			Seccomp:            &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
		}
	})
	if err != nil {
		return err
	}
	text, err := s.logOf(id, "secure")
	if err != nil {
		return err
	}
	for _, part := range []string{" 0\n", "7 1234", "CapEff:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2", "read-only"} {
		if !strings.Contains(text, part) {
			return fmt.Errorf("%q is not in the log: %s", part, text)
		}
	}
	return s.runtime.RemoveContainer(s.ctx, id)
}

// logOf waits until the container has ended.
func (s *session) logOf(id, name string) (string, error) {
	for {
		answer, err := s.runtime.ContainerStatus(s.ctx, id, false)
		if err != nil {
			return "", err
		}
		if answer.Status.State == runtimeapi.ContainerState_CONTAINER_EXITED {
			text, err := os.ReadFile(s.logs + "/" + name + ".log")
			return string(text), err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func statistics(s *session) error {
	one, err := s.runtime.ContainerStats(s.ctx, s.containerID)
	if err != nil {
		return err
	}
	all, err := s.runtime.ListContainerStats(s.ctx, &runtimeapi.ContainerStatsFilter{PodSandboxId: s.sandboxID})
	if err != nil {
		return err
	}
	pod, err := s.runtime.PodSandboxStats(s.ctx, s.sandboxID)
	if err != nil {
		return err
	}
	pods, err := s.runtime.ListPodSandboxStats(s.ctx, &runtimeapi.PodSandboxStatsFilter{Id: s.sandboxID})
	if err != nil {
		return err
	}
	descriptors, err := s.runtime.ListMetricDescriptors(s.ctx)
	if err != nil {
		return err
	}
	metrics, err := s.runtime.ListPodSandboxMetrics(s.ctx)
	if err != nil {
		return err
	}
	if one.Cpu.GetUsageCoreNanoSeconds().GetValue() == 0 || one.Memory.GetWorkingSetBytes().GetValue() == 0 || len(descriptors) == 0 {
		return fmt.Errorf("no statistics: %v, %d descriptors", one, len(descriptors))
	}
	return first(
		want("statistics of containers", len(all), 1),
		want("statistics of the Pod's containers", len(pod.Linux.GetContainers()), 1),
		want("statistics of Pods", len(pods), 1),
		want("metrics of Pods", len(metrics) > 0, true),
	)
}

func resources(s *session) error {
	const limit = 100 << 20
	change := &runtimeapi.ContainerResources{Linux: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: limit}}
	if err := s.runtime.UpdateContainerResources(s.ctx, s.containerID, change); err != nil {
		return err
	}
	stdout, _, err := s.runtime.ExecSync(s.ctx, s.containerID, []string{"sh", "-c", "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"}, 20*time.Second)
	if err != nil {
		return err
	}
	return want("memory limit", strings.TrimSpace(string(stdout)), limit)
}

// logFiles reads the log with kubelet's own reader, before and after a rotation.
func logFiles(s *session) error {
	path := s.logs + "/main.log"
	if err := os.Rename(path, path+".1"); err != nil {
		return err
	}
	if err := s.runtime.ReopenContainerLog(s.ctx, s.containerID); err != nil {
		return err
	}
	time.Sleep(600 * time.Millisecond)
	for file, wanted := range map[string]string{path + ".1": "started", path: "tick "} {
		var out strings.Builder
		logger := klog.Background()
		options := logs.NewLogOptions(&corev1.PodLogOptions{}, time.Now())
		if err := logs.ReadLogs(s.ctx, &logger, file, s.containerID, options, s.runtime, &out, &out); err != nil {
			return err
		}
		if !strings.Contains(out.String(), wanted) {
			return fmt.Errorf("%q is not in %s: %s", wanted, file, out.String())
		}
	}
	return nil
}

func events(s *session) error {
	told := make(chan *runtimeapi.ContainerEventResponse, 100)
	stands := make(chan struct{})
	go func() {
		_ = s.runtime.GetContainerEvents(s.ctx, told, func(runtimeapi.RuntimeService_GetContainerEventsClient) { close(stands) })
	}()
	<-stands
	time.Sleep(300 * time.Millisecond)
	id, err := s.container("short", "exit 5", nil)
	if err != nil {
		return err
	}
	seen := map[runtimeapi.ContainerEventType]bool{}
	for !seen[runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT] {
		select {
		case event := <-told:
			if event.ContainerId == id {
				seen[event.ContainerEventType] = true
			}
		case <-s.ctx.Done():
			return fmt.Errorf("the end of a container was not told; seen: %v", seen)
		}
	}
	answer, err := s.runtime.ContainerStatus(s.ctx, id, false)
	if err != nil {
		return err
	}
	return first(
		want("created and started told", len(seen), 3),
		want("exit code", answer.Status.ExitCode, 5),
		s.runtime.RemoveContainer(s.ctx, id),
	)
}

func refusals(s *session) error {
	_, noContainer := s.runtime.ContainerStatus(s.ctx, "nothing", false)
	_, noSandbox := s.runtime.PodSandboxStatus(s.ctx, "nothing", false)
	_, noHandler := s.runtime.RunPodSandbox(s.ctx, &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "x", Uid: "x", Namespace: "x"},
	}, "nothing")
	if noHandler == nil {
		return fmt.Errorf("a runtime handler that is not there was taken")
	}
	checkpoint := s.runtime.CheckpointContainer(s.ctx, &runtimeapi.CheckpointContainerRequest{ContainerId: s.containerID})
	again := s.runtime.StartContainer(s.ctx, s.containerID)
	if again == nil {
		return fmt.Errorf("a running container was started once more")
	}
	return first(
		want("no such container", status.Code(noContainer), codes.NotFound),
		want("no such sandbox", status.Code(noSandbox), codes.NotFound),
		want("checkpoint", status.Code(checkpoint), codes.Unimplemented),
		s.runtime.StopPodSandbox(s.ctx, "nothing"),
		s.runtime.RemovePodSandbox(s.ctx, "nothing"),
		s.runtime.RemoveContainer(s.ctx, "nothing"),
		s.images.RemoveImage(s.ctx, &runtimeapi.ImageSpec{Image: "nothing:1"}),
	)
}
