package deliver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestFileIsDeliveredWithItsFolders(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022))
	root := t.TempDir()
	for _, size := range []int{0, 1, Limit} {
		content := bytes.Repeat([]byte("x"), size)
		source := write(t, filepath.Join(root, "source"), content)
		destination := filepath.Join(root, "a", "b", "profile.json")
		if written, err := File(source, destination); !written || err != nil {
			t.Fatalf("%d bytes: %v, %v", size, written, err)
		}
		if got, err := os.ReadFile(destination); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d came, %v", size, len(got), err)
		}
	}
	for path, want := range map[string]os.FileMode{"a": 0o755, "a/b": 0o755, "a/b/profile.json": 0o644} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	if got := names(t, filepath.Join(root, "a", "b")); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

func TestEqualContentIsNotWrittenAgain(t *testing.T) {
	root := t.TempDir()
	source := write(t, filepath.Join(root, "source"), []byte("one"))
	destination := filepath.Join(root, "copy")
	if _, err := File(source, destination); err != nil {
		t.Fatal(err)
	}
	before := inode(t, destination)
	if written, err := File(source, destination); written || err != nil || inode(t, destination) != before {
		t.Errorf("written again: %v, %v", written, err)
	}
}

// Someone who has the old file open keeps it whole.
func TestOtherContentIsReplacedNotChanged(t *testing.T) {
	root := t.TempDir()
	source := write(t, filepath.Join(root, "source"), []byte("new"))
	destination := write(t, filepath.Join(root, "copy"), []byte("old"))
	reader, err := os.Open(destination)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if written, err := File(source, destination); !written || err != nil {
		t.Fatal(written, err)
	}
	old := make([]byte, 3)
	if _, err := reader.Read(old); err != nil || string(old) != "old" {
		t.Errorf("the reader got %q, %v", old, err)
	}
	if got, err := os.ReadFile(destination); err != nil || string(got) != "new" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFailuresAreOneLineAndLeaveNothing(t *testing.T) {
	root := t.TempDir()
	source := write(t, filepath.Join(root, "source"), []byte("x"))
	tests := []struct{ name, source, destination, want string }{
		{"too large", write(t, filepath.Join(root, "large"), make([]byte, Limit+1)), filepath.Join(root, "made", "x"), "has more than 1048576 bytes"},
		{"no source", filepath.Join(root, "absent"), filepath.Join(root, "made", "x"), "cannot read"},
		{"source is a folder", root, filepath.Join(root, "made", "x"), "cannot read"},
		{"endless source", "/dev/zero", filepath.Join(root, "made", "x"), "has more than 1048576 bytes"},
		{"destination is a folder", source, root, "cannot compare"},
		{"a file where a folder should be", source, filepath.Join(source, "x"), "cannot compare"},
		{"no folder can be made", source, "/proc/nanoagent/x", "cannot make the folder"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			written, err := File(test.source, test.destination)
			if written || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, %v instead of %q", written, err, test.want)
			}
		})
	}
	if got := names(t, root); len(got) != 2 {
		t.Errorf("left behind: %v", got)
	}
}

func TestNothingIsLeftWhereTheLastStepFails(t *testing.T) {
	root := t.TempDir()
	destination := filepath.Join(root, "taken")
	if err := os.Mkdir(destination, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := replace(root, destination, []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if got := names(t, root); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}
