// Package integration runs the whole program against an API server of its own.
package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "monitor")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(folder, "monitor")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../cmd/monitor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		panic(string(output))
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// cluster is an API server with pods and a Lease.
type cluster struct {
	mu      sync.Mutex
	pods    []string
	lease   coordinationv1.Lease
	version int
	refused map[string]bool // by resource
	events  chan string     // of pods
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	c.mu.Lock()
	refused := c.refused[resource]
	c.mu.Unlock()
	switch {
	case strings.Contains(r.URL.Path, "/leases/"):
		c.serveLease(w, r)
	case refused:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	case r.URL.Query().Get("watch") != "true":
		w.WriteHeader(http.StatusInternalServerError)
	default:
		c.stream(w, r, resource)
	}
}

func (c *cluster) serveLease(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		// The API's frame around a message: four letters, and the message with its kind.
		var framed runtime.Unknown
		if err := framed.Unmarshal(body[4:]); err != nil {
			panic(err)
		}
		c.lease = coordinationv1.Lease{}
		if err := c.lease.Unmarshal(framed.Raw); err != nil {
			panic(err)
		}
	}
	c.version++
	c.lease.APIVersion, c.lease.Kind = "coordination.k8s.io/v1", "Lease"
	c.lease.ResourceVersion = strconv.Itoa(c.version)
	json.NewEncoder(w).Encode(&c.lease)
}

var kinds = map[string]string{
	"nodes": "Node", "namespaces": "Namespace", "pods": "Pod", "services": "Service", "serviceaccounts": "ServiceAccount", "events": "Event",
	"daemonsets": "DaemonSet", "deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet",
	"cronjobs": "CronJob", "jobs": "Job", "endpointslices": "EndpointSlice",
	"clusterrolebindings": "ClusterRoleBinding", "clusterroles": "ClusterRole", "rolebindings": "RoleBinding", "roles": "Role",
}

func (c *cluster) stream(w http.ResponseWriter, r *http.Request, resource string) {
	var changes chan string
	if resource == "pods" {
		changes = c.events
		for _, pod := range c.pods {
			fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", pod)
		}
	}
	version := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, "/"+resource), "/apis/"), "/api/")
	fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"kind":%q,"apiVersion":%q,"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n",
		kinds[resource], version)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case line := <-changes:
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		}
	}
}

// running is the program at work.
type running struct {
	t      *testing.T
	config string
	cmd    *exec.Cmd
	mu     sync.Mutex
	out    bytes.Buffer
	errors bytes.Buffer
}

func (r *running) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(text)
}

func (r *running) lines() []map[string]any {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []map[string]any
	for text := range bytes.Lines(r.out.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			// The last one may not be whole yet.
			break
		}
		lines = append(lines, line)
	}
	return lines
}

func start(t *testing.T, c *cluster, identity string) *running {
	t.Helper()
	c.events = make(chan string)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	config, err := json.Marshal(map[string]any{
		"cluster": "c", "socket": filepath.Join(folder, "s"), "lease": map[string]string{"namespace": "n", "name": "l"},
		"api": map[string]string{"server": server.URL, "token_file": "", "ca_file": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, config: filepath.Join(folder, "monitor.json")}
	if err := os.WriteFile(r.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(program, "run", "--config", r.config)
	r.cmd.Env = []string{"POD_NAME=" + identity}
	r.cmd.Stdout, r.cmd.Stderr = r, &r.errors
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.cmd.Wait()
	})
	return r
}

func (r *running) ask(arguments ...string) (string, int) {
	cmd := exec.Command(program, append(arguments, "--config", r.config)...)
	output, _ := cmd.CombinedOutput()
	return strings.TrimSpace(string(output)), cmd.ProcessState.ExitCode()
}

func (r *running) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("it did not come: ", what, r.errors.String())
		}
	}
}

func (r *running) ended() bool {
	for _, line := range r.lines() {
		if line["type"] == "snapshot" && line["phase"] == "end" {
			return true
		}
	}
	return false
}

func pod(number int, phase string) string {
	// As the API gives it: most of it is what is let go.
	var managed []string
	for _, manager := range []string{"kube-controller-manager", "kube-scheduler", "kubelet"} {
		managed = append(managed, fmt.Sprintf(
			`{"manager":%q,"operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{%s}}`,
			manager, strings.TrimSuffix(strings.Repeat(`"f:conditions":{},`, 60), ",")))
	}
	var environment []string
	for i := range 30 {
		environment = append(environment, fmt.Sprintf(`{"name":"VARIABLE_%d","value":"the value of variable %d"}`, i, i))
	}
	return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"workload-5d4f8c7b9-%05d","namespace":"team-%d","uid":"00000000-0000-0000-0000-%012d",`+
		`"resourceVersion":"1%s","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app":"workload","pod-template-hash":"5d4f8c7b9"},`+
		`"ownerReferences":[{"apiVersion":"example.com/v1","kind":"Rollout","name":"workload","uid":"11111111-1111-1111-1111-111111111111","controller":true}],`+
		`"managedFields":[%s]},"spec":{"nodeName":"node-%d","serviceAccountName":"workload","containers":[{"name":"main","image":"registry.example.com/team/workload:1.2.3",`+
		`"env":[%s]},{"name":"proxy","image":"registry.example.com/mesh/proxy:4.5.6","securityContext":{"capabilities":{"add":["NET_ADMIN"]}}}]},`+
		`"status":{"phase":%q,"podIPs":[{"ip":"10.%d.%d.7"}],"containerStatuses":[`+
		`{"name":"main","containerID":"containerd://%064d","imageID":"registry.example.com/team/workload@sha256:%064d","ready":true},`+
		`{"name":"proxy","containerID":"containerd://%064d","imageID":"registry.example.com/mesh/proxy@sha256:%064d","ready":true}]}}`,
		number, number%50, number, phase, strings.Join(managed, ","), number%100, strings.Join(environment, ","), phase, number/250, number%250, number, 1, number+1, 2)
}

func TestFromTheFirstLineToTheLast(t *testing.T) {
	c := &cluster{pods: []string{pod(1, "Pending")}}
	r := start(t, c, "first")
	if said, code := r.ask("health", "ready", "--wait", "30s"); code != 0 || said != "ok" {
		t.Fatal(said, code, r.errors.String())
	}
	r.until("the snapshot", r.ended)
	c.events <- `{"type":"MODIFIED","object":` + pod(1, "Running") + `}`
	r.until("the change", func() bool { return strings.Contains(fmt.Sprint(r.lines()), "changed:[phase]") })
	if said, code := r.ask("health", "live"); code != 0 || said != "ok" {
		t.Error(said, code)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	if err := r.cmd.Wait(); err != nil {
		t.Error(err, r.errors.String())
	}
	lines := r.lines()
	first, last := lines[0], lines[len(lines)-1]
	if first["type"] != "snapshot" || first["reason"] != "start" || first["monitor"] != "first" || first["cluster"] != "c" {
		t.Error(first)
	}
	if last["type"] != "standby" || last["reason"] != "it was asked to end" {
		t.Error(last)
	}
	if holder := c.lease.Spec.HolderIdentity; holder == nil || *holder != "" {
		t.Error("the Lease was not given back")
	}
	if said, code := r.ask("health", "live"); code != 1 || !strings.HasPrefix(said, "no monitor answers on its socket") {
		t.Error(said, code)
	}
	if r.errors.Len() > 0 {
		t.Error(r.errors.String())
	}
}

func TestItGoesOnWithWhatItMayRead(t *testing.T) {
	c := &cluster{pods: []string{pod(1, "Running")}, refused: map[string]bool{"services": true, "roles": true}}
	r := start(t, c, "m")
	r.until("the snapshot", r.ended)
	said, code := r.ask("health", "ready")
	if want := "roles.rbac.authorization.k8s.io: no right to list; services: no right to list"; code != 1 || said != want {
		t.Error(said, code)
	}
	if said, code := r.ask("health", "live"); code != 0 {
		t.Error(said, code)
	}
	if missing := fmt.Sprint(r.lines()[0]["missing"]); missing != "map[roles.rbac.authorization.k8s.io:no right to list services:no right to list]" {
		t.Error(missing)
	}
	if text := fmt.Sprint(r.lines()); !strings.Contains(text, "workload-5d4f8c7b9-00001") {
		t.Error(text)
	}
	c.mu.Lock()
	clear(c.refused)
	c.mu.Unlock()
	r.until("readiness", func() bool { _, code := r.ask("health", "ready"); return code == 0 })
	r.until("the line that says so", func() bool {
		lines := r.lines()
		last := lines[len(lines)-1]
		return last["type"] == "coverage" && last["missing"] == nil
	})
}

func TestTheMemoryForFiveThousandPods(t *testing.T) {
	const pods, most = 5000, 128 << 10
	c := &cluster{}
	for i := range pods {
		c.pods = append(c.pods, pod(i, "Running"))
	}
	r := start(t, c, "m")
	r.until("the snapshot", r.ended)
	for i := range pods {
		c.events <- `{"type":"MODIFIED","object":` + pod(i, "Failed") + `}`
	}
	r.until("all changes", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return bytes.Count(r.out.Bytes(), []byte(`"changed":["phase"]`)) == pods
	})
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatal(string(status))
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil || peak > most {
		t.Errorf("%d KiB at most, allowed are %d", peak, most)
	}
	t.Logf("%d pods of %d bytes: %d KiB at most", pods, len(c.pods[0]), peak)
}

func TestWrongUsage(t *testing.T) {
	for _, arguments := range [][]string{{}, {"walk"}, {"health"}, {"health", "well"}, {"run", "now"}, {"run", "--config", "/none"}, {"run", "--loud"}} {
		cmd := exec.Command(program, arguments...)
		output, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || len(output) == 0 {
			t.Error(arguments, cmd.ProcessState.ExitCode(), string(output))
		}
	}
}

func TestOutsideOfAClusterItSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "monitor.json")
	if err := os.WriteFile(file, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "run", "--config", file)
	cmd.Env = []string{}
	output, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(output), "this is no pod of a cluster") || strings.Count(string(output), "\n") != 1 {
		t.Error(string(output))
	}
}
