// Command cri drives a CRI socket with the client library of kubelet and crictl (k8s.io/cri-client) and the streaming clients of kubectl and crictl
// (client-go), and exits 1 when an answer is not what CRI promises. Run by test/integration/cri-clients.test.ts:
//
//	cri SOCKET IMAGE LOGDIR calls|pods|streaming [HANDLER]
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	remote "k8s.io/cri-client/pkg"
)

// Longer than anything here takes, shorter than the test that runs it waits.
const deadline = 75 * time.Second

type session struct {
	ctx     context.Context
	runtime internalapi.RuntimeService
	images  internalapi.ImageManagerService
	image   string
	logs    string
	// The program's.
	name string
	// Empty: the default.
	handler string
	sandbox *runtimeapi.PodSandboxConfig
	// Ids of what stands for the programs.
	sandboxID, containerID string
}

func main() {
	programs := map[string]func(*session) error{"calls": calls, "pods": pods, "streaming": streaming}
	if len(os.Args) < 5 || programs[os.Args[4]] == nil {
		fmt.Fprintln(os.Stderr, "usage: cri SOCKET IMAGE LOGDIR calls|pods|streaming [HANDLER]")
		os.Exit(2)
	}
	s := &session{image: os.Args[2], logs: os.Args[3], name: os.Args[4]}
	if len(os.Args) > 5 {
		s.handler = os.Args[5]
	}
	if err := run(s, os.Args[1], programs[s.name]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func run(s *session, socket string, program func(*session) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	s.ctx = ctx
	var err error
	if s.runtime, err = remote.NewRemoteRuntimeService("unix://"+socket, 20*time.Second, nil, nil); err != nil {
		return err
	}
	if s.images, err = remote.NewRemoteImageService("unix://"+socket, 20*time.Second, nil, nil); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	if err := program(s); err != nil {
		return err
	}
	return s.end()
}

// begin pulls the image and runs a Pod with one container that counts.
func (s *session) begin() error {
	if _, err := s.images.PullImage(s.ctx, &runtimeapi.ImageSpec{Image: s.image}, nil, nil); err != nil {
		return err
	}
	s.sandbox = &runtimeapi.PodSandboxConfig{
		Metadata:     &runtimeapi.PodSandboxMetadata{Name: s.name, Uid: "uid-" + s.name + s.handler, Namespace: "clients"},
		Hostname:     s.name,
		LogDirectory: s.logs,
		Linux: &runtimeapi.LinuxPodSandboxConfig{Resources: &runtimeapi.LinuxContainerResources{
			CpuQuota: 100000, CpuPeriod: 100000, MemoryLimitInBytes: 192 << 20,
		}},
	}
	if s.name == "pods" {
		podSandbox(s.sandbox)
	}
	var err error
	if s.sandboxID, err = s.runtime.RunPodSandbox(s.ctx, s.sandbox, s.handler); err != nil {
		return err
	}
	s.containerID, err = s.container("main", "echo started; i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.2; done", nil)
	return err
}

// container makes and starts one.
func (s *session) container(name, script string, change func(*runtimeapi.ContainerConfig)) (string, error) {
	config := &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name},
		Image:    &runtimeapi.ImageSpec{Image: s.image},
		Command:  []string{"sh", "-c", script},
		LogPath:  name + ".log",
		Linux:    &runtimeapi.LinuxContainerConfig{},
	}
	if change != nil {
		change(config)
	}
	id, err := s.runtime.CreateContainer(s.ctx, s.sandboxID, config, s.sandbox)
	if err != nil {
		return "", err
	}
	return id, s.runtime.StartContainer(s.ctx, id)
}

// end takes everything away, twice: CRI's calls that stop and remove are idempotent.
func (s *session) end() error {
	for range 2 {
		if err := s.runtime.StopContainer(s.ctx, s.containerID, 0); err != nil {
			return err
		}
		if err := s.runtime.RemoveContainer(s.ctx, s.containerID); err != nil {
			return err
		}
		if err := s.runtime.StopPodSandbox(s.ctx, s.sandboxID); err != nil {
			return err
		}
	}
	for range 2 {
		if err := s.runtime.RemovePodSandbox(s.ctx, s.sandboxID); err != nil {
			return err
		}
	}
	return nil
}

func want(what string, got, wanted any) error {
	if fmt.Sprint(got) == fmt.Sprint(wanted) {
		return nil
	}
	return fmt.Errorf("%s: got %v, wanted %v", what, got, wanted)
}

// first returns the first error there is.
func first(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}
