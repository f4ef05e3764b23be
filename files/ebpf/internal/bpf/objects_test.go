package bpf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestObjectsAreBuiltFromTheSources compiles the programs again. Other
// versions of the compiler give other bytes, so it needs the one in use.
func TestObjectsAreBuiltFromTheSources(t *testing.T) {
	for _, tool := range []string{"clang", "llvm-strip", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	version, err := exec.Command("clang", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(version), "Debian clang version 14.") {
		t.Skip("needs clang 14 of Debian 12, found ", strings.SplitN(string(version), "\n", 2)[0])
	}
	if _, err := os.Stat("/usr/include/bpf/bpf_helpers.h"); err != nil {
		t.Skip("needs libbpf-dev")
	}
	directory := t.TempDir()
	if output, err := exec.Command("make", "-C", "../..", "bpf", "OBJECTS="+directory).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name, checkedIn := range map[string][]byte{"tp_btf.bpf.o": typedObject, "raw_tp.bpf.o": rawObject} {
		built, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(built, checkedIn) {
			t.Errorf("%s is not what its sources give: run make bpf and commit it", name)
		}
	}
}

func TestObjectsTellNothingOfWhereTheyWereBuilt(t *testing.T) {
	here, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range [][]byte{typedObject, rawObject} {
		if bytes.Contains(object, []byte(here)) {
			t.Errorf("an object has the path %s in it", here)
		}
	}
}

func TestEachVariantHasAllPrograms(t *testing.T) {
	for _, variant := range variants() {
		spec, err := variant.spec()
		if err != nil {
			t.Fatal(err)
		}
		for _, hook := range hooks {
			for _, name := range hook.programs {
				if program, ok := spec.Programs[name]; !ok || program.License != "Dual BSD/GPL" {
					t.Errorf("%s: %s is missing or has no license", variant, name)
				}
			}
		}
		reduce(spec, []string{"on_fork"})
		if len(spec.Programs) != 1 || spec.Maps["exec_scratch"] != nil || spec.Maps[ringMap] == nil {
			t.Errorf("%s: a reduced spec has %d programs and %v", variant, len(spec.Programs), spec.Maps)
		}
	}
}

func TestOlder(t *testing.T) {
	tests := []struct {
		release string
		want    bool
	}{
		{"5.8.0", false}, {"5.7.19-amd64", true}, {"4.18.0-553.el8", true}, {"6.18.44-fc-v595", false}, {"5.10", false}, {"odd", false},
	}
	for _, test := range tests {
		if got := older(test.release, 5, 8); got != test.want {
			t.Errorf("%s: %v", test.release, got)
		}
	}
}
