// Command controller says for each DaemonSet and node on standard input what the DaemonSet controller decides about them.
//
// A line in is {"daemon_set": ..., "node": ...}; a line out is {"run": bool, "continue": bool}, or {"error": "..."} where the API's own
// decoder refuses the objects. Its arguments are feature gates, each as NAME=true or NAME=false.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apijson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	_ "k8s.io/kubernetes/pkg/features"
)

type question struct {
	DaemonSet apps.DaemonSet `json:"daemon_set"`
	Node      core.Node      `json:"node"`
}

type answer struct {
	Run      bool   `json:"run"`
	Continue bool   `json:"continue"`
	Error    string `json:"error,omitempty"`
}

func main() {
	// Numbers that do not compare are logged by the controller, thousands of them here.
	klog.SetLogger(klog.Logger{})
	for _, gate := range os.Args[1:] {
		if err := feature.DefaultMutableFeatureGate.Set(gate); err != nil {
			fail(err)
		}
	}
	if err := answerAll(os.Stdin, os.Stdout); err != nil {
		fail(err)
	}
}

func answerAll(in io.Reader, out io.Writer) error {
	reader, writer := bufio.NewReader(in), bufio.NewWriter(out)
	encoder := json.NewEncoder(writer)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return writer.Flush()
		}
		if err != nil {
			return err
		}
		if err := encoder.Encode(answerTo(line)); err != nil {
			return err
		}
	}
}

func answerTo(line []byte) answer {
	var asked question
	// The decoder of the API server: names in their exact case, and no values of another type.
	if err := apijson.Unmarshal(line, &asked); err != nil {
		return answer{Error: err.Error()}
	}
	run, proceed := decide(&asked.Node, &asked.DaemonSet)
	return answer{Run: run, Continue: proceed}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "controller:", err)
	os.Exit(1)
}
