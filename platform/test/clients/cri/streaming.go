package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var transports = []string{"spdy", "websocket"}

// streaming runs a command, attaches and forwards a port over each transport that kubectl and crictl have.
func streaming(s *session) error {
	if _, err := s.container("server", "mkdir /w; echo from the Pod > /w/index.html; exec httpd -f -p 8080 -h /w", nil); err != nil {
		return err
	}
	// Until it listens.
	if _, _, err := s.runtime.ExecSync(s.ctx, s.containerID, []string{"sh", "-c", "until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done"}, 20*time.Second); err != nil {
		return err
	}
	for _, transport := range transports {
		for name, step := range map[string]func(*session, string) error{"exec": execStream, "tty": ttyStream, "attach": attachStream, "port-forward": forward} {
			if err := step(s, transport); err != nil {
				return fmt.Errorf("%s over %s: %w", name, transport, err)
			}
		}
	}
	return nil
}

func executor(transport, target string) (remotecommand.Executor, error) {
	config := &rest.Config{}
	if transport == "websocket" {
		return remotecommand.NewWebSocketExecutor(config, "GET", target)
	}
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewSPDYExecutor(config, "POST", parsed)
}

func execStream(s *session, transport string) error {
	answer, err := s.runtime.Exec(s.ctx, &runtimeapi.ExecRequest{
		ContainerId: s.containerID, Cmd: []string{"sh", "-c", "cat; echo err >&2; exit 4"}, Stdin: true, Stdout: true, Stderr: true,
	})
	if err != nil {
		return err
	}
	client, err := executor(transport, answer.Url)
	if err != nil {
		return err
	}
	text := strings.Repeat("0123456789abcdef", 1<<16)
	var stdout, stderr bytes.Buffer
	err = client.StreamWithContext(s.ctx, remotecommand.StreamOptions{Stdin: strings.NewReader(text), Stdout: &stdout, Stderr: &stderr})
	var exit exec.CodeExitError
	if !errors.As(err, &exit) || exit.Code != 4 {
		return fmt.Errorf("exit 4 came back as %v", err)
	}
	return first(want("stdout is what went in", stdout.String() == text, true), want("stderr", stderr.String(), "err\n"))
}

type sizes chan *remotecommand.TerminalSize

func (s sizes) Next() *remotecommand.TerminalSize { return <-s }

func ttyStream(s *session, transport string) error {
	answer, err := s.runtime.Exec(s.ctx, &runtimeapi.ExecRequest{
		ContainerId: s.containerID, Cmd: []string{"sh", "-c", "sleep 0.5; stty size"}, Stdout: true, Stdin: true, Tty: true,
	})
	if err != nil {
		return err
	}
	client, err := executor(transport, answer.Url)
	if err != nil {
		return err
	}
	resize := make(sizes, 2)
	resize <- &remotecommand.TerminalSize{Width: 111, Height: 33}
	in, out := io.Pipe()
	defer out.Close()
	var stdout bytes.Buffer
	err = client.StreamWithContext(s.ctx, remotecommand.StreamOptions{Stdin: in, Stdout: &stdout, Tty: true, TerminalSizeQueue: resize})
	return first(err, want("stty size", strings.TrimSpace(stdout.String()), "33 111"))
}

func attachStream(s *session, transport string) error {
	name := "attached-" + transport
	id, err := s.container(name, "read line; echo got $line", func(config *runtimeapi.ContainerConfig) {
		config.Stdin, config.StdinOnce = true, true
	})
	if err != nil {
		return err
	}
	answer, err := s.runtime.Attach(s.ctx, &runtimeapi.AttachRequest{ContainerId: id, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	client, err := executor(transport, answer.Url)
	if err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	err = client.StreamWithContext(s.ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("a line\n"), Stdout: &stdout, Stderr: &stderr})
	return first(err, want("stdout", stdout.String(), "got a line\n"))
}

func forward(s *session, transport string) error {
	answer, err := s.runtime.PortForward(s.ctx, &runtimeapi.PortForwardRequest{PodSandboxId: s.sandboxID, Port: []int32{8080}})
	if err != nil {
		return err
	}
	dialer, err := dialerOf(transport, answer.Url)
	if err != nil {
		return err
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	defer close(stop)
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case err := <-failed:
		return fmt.Errorf("ended early: %v", err)
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	text, err := ask(fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
	return first(err, want("answer", strings.HasSuffix(text, "from the Pod\n"), true))
}

func ask(address string) (string, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := connection.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return "", err
	}
	text, err := io.ReadAll(connection)
	return string(text), err
}

func dialerOf(transport, target string) (httpstream.Dialer, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	if transport == "websocket" {
		return portforward.NewSPDYOverWebsocketDialer(parsed, &rest.Config{})
	}
	roundTripper, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	if err != nil {
		return nil, err
	}
	return spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, "POST", parsed), nil
}
