package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// pods tries what a Pod's and a container's settings come to, one container for each, and that what cannot be kept is refused by name.
func pods(s *session) error {
	steps := []func(*session) error{settings, sharedNamespaces, users, power, endings, refusedSettings}
	for _, step := range steps {
		if err := step(s); err != nil {
			return err
		}
	}
	return nil
}

// podSandbox is what the Pod of the program "pods" asks for beyond the others.
func podSandbox(config *runtimeapi.PodSandboxConfig) {
	config.DnsConfig = &runtimeapi.DNSConfig{Servers: []string{"10.10.10.10"}, Searches: []string{"google.com"}, Options: []string{"ndots:8"}}
	config.Linux.Sysctls = map[string]string{"kernel.shm_rmid_forced": "1", "net.ipv4.ip_local_port_range": "1024 65000"}
	config.Linux.SecurityContext = &runtimeapi.LinuxSandboxSecurityContext{
		NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_POD},
	}
}

// said runs a container to its end and returns its log.
func (s *session) said(name, script string, security *runtimeapi.LinuxContainerSecurityContext) (string, error) {
	id, err := s.container(name, script, func(config *runtimeapi.ContainerConfig) { config.Linux.SecurityContext = security })
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	text, err := s.logOf(id, name)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		// time, stream, tag, text
		lines = append(lines, strings.SplitN(line, " ", 4)[3])
	}
	return strings.Join(lines, "\n"), s.runtime.RemoveContainer(s.ctx, id)
}

func settings(s *session) error {
	text, err := s.said("settings", "hostname; cat /etc/resolv.conf /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_local_port_range", nil)
	return first(err, want("hostname, resolv.conf and sysctls", text,
		"pods\nsearch google.com\nnameserver 10.10.10.10\noptions ndots:8\n1\n1024\t65000"))
}

// sharedNamespaces: all zeros, which the wire does not carry, mean those of the Pod.
func sharedNamespaces(s *session) error {
	shared := &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{}}
	neighbour, err := s.container("neighbour", "echo mine > /dev/shm/file; exec sleep 4321", func(config *runtimeapi.ContainerConfig) {
		config.Linux.SecurityContext = shared
	})
	if err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	text, err := s.said("shared", "cat /dev/shm/file; ps | grep -c '[s]leep 4321'", shared)
	return first(err, want("shared memory and processes", text, "mine\n1"), s.runtime.RemoveContainer(s.ctx, neighbour))
}

func ownNamespaces(s *session) error {
	own := &runtimeapi.LinuxContainerSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}}
	text, err := s.said("own", "echo $$", own)
	if err != nil {
		return err
	}
	target := &runtimeapi.LinuxContainerSecurityContext{
		NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_TARGET, TargetId: s.containerID},
	}
	seen, err := s.said("target", "ps | grep -c '[e]cho started'", target)
	return first(err, want("process id in a space of its own", text, "1"), want("processes of the target", seen != "0", true))
}

func users(s *session) error {
	cases := map[string]struct {
		security *runtimeapi.LinuxContainerSecurityContext
		wanted   string
	}{
		"by-id":   {&runtimeapi.LinuxContainerSecurityContext{RunAsUser: &runtimeapi.Int64Value{Value: 1001}}, "1001:0"},
		"by-name": {&runtimeapi.LinuxContainerSecurityContext{RunAsUsername: "www"}, "1000:1000"},
		"group": {&runtimeapi.LinuxContainerSecurityContext{
			RunAsUser: &runtimeapi.Int64Value{Value: 1001}, RunAsGroup: &runtimeapi.Int64Value{Value: 1002}}, "1001:1002"},
	}
	for name, each := range cases {
		text, err := s.said("user-"+name, "echo $(id -u):$(id -g)", each.security)
		if err := first(err, want("user "+name, text, each.wanted)); err != nil {
			return err
		}
	}
	return nil
}

func power(s *session) error {
	if err := privileged(s); err != nil {
		return err
	}
	plain, err := s.said("plain", "mkdir -p /m; mount -t tmpfs none /m 2>/dev/null || echo refused; cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; echo 1 2>/dev/null > /proc/sys/kernel/panic || echo read-only", nil)
	if err != nil {
		return err
	}
	masked, err := s.said("masked", "wc -c < /proc/cpuinfo; echo x > /proc/version 2>/dev/null || echo read-only", &runtimeapi.LinuxContainerSecurityContext{
		MaskedPaths: []string{"/proc/cpuinfo"}, ReadonlyPaths: []string{"/proc/sys"},
	})
	return first(err,
		want("plain", plain, "refused\n0\nread-only"),
		want("masked", masked, "0\nread-only"))
}

// allPowers is every capability of Linux 5.9 and later, capabilities(7).
const allPowers = "000001ffffffffff"

// privileged gives every power that the machine has: all of them in a VM, those of this host without one.
func privileged(s *session) error {
	wanted := allPowers
	if s.handler == "namespace" {
		own, err := os.ReadFile("/proc/self/status")
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(own), "CapBnd:\t")
		wanted, _, _ = strings.Cut(rest, "\n")
	}
	text, err := s.said("privileged", "grep CapEff /proc/self/status | cut -f2; mkdir -p /m; mount -t tmpfs none /m && echo mounted",
		&runtimeapi.LinuxContainerSecurityContext{Privileged: true})
	return first(err, want("privileged", text, wanted+"\nmounted"))
}

// endings: signals, grace and force.
func endings(s *session) error {
	codes := map[string]struct {
		script  string
		timeout int64
		wanted  int32
	}{
		"gentle":   {"trap 'exit 9' TERM; while true; do sleep 0.1; done", 10, 9},
		"stubborn": {"trap '' TERM; while true; do sleep 0.1; done", 1, 137},
		"at-once":  {"sleep 1000", 0, 137},
	}
	for name, each := range codes {
		id, err := s.container(name, each.script, nil)
		if err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		if err := s.runtime.StopContainer(s.ctx, id, each.timeout); err != nil {
			return err
		}
		answer, err := s.runtime.ContainerStatus(s.ctx, id, false)
		if err != nil {
			return err
		}
		if err := first(want("exit code of "+name, answer.Status.ExitCode, each.wanted), s.runtime.RemoveContainer(s.ctx, id)); err != nil {
			return err
		}
	}
	return nil
}

func refusedSettings(s *session) error {
	node := map[string]*runtimeapi.NamespaceOption{
		"hostNetwork": {Network: runtimeapi.NamespaceMode_NODE},
		"hostPID":     {Pid: runtimeapi.NamespaceMode_NODE},
		"hostIPC":     {Ipc: runtimeapi.NamespaceMode_NODE},
	}
	for name, options := range node {
		if s.handler == "namespace" {
			break // It has what a VM cannot have.
		}
		_, err := s.runtime.RunPodSandbox(s.ctx, &runtimeapi.PodSandboxConfig{
			Metadata: &runtimeapi.PodSandboxMetadata{Name: "host", Uid: "uid-host", Namespace: "clients"},
			Linux:    &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: options}},
		}, "")
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), name) {
			return fmt.Errorf("%s in a VM: %v", name, err)
		}
	}
	_, second := s.runtime.RunPodSandbox(s.ctx, s.sandbox, s.handler)
	return want("a second sandbox of the same attempt", status.Code(second), codes.AlreadyExists)
}
