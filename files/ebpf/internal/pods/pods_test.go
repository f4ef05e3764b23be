package pods

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	id  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uid = "2c9d0b1e-aaaa-bbbb-cccc-0123456789ab"
)

func TestParseLink(t *testing.T) {
	tests := []struct {
		name string
		want Names
		ok   bool
	}{
		{"web-0_shop_nginx-" + id + ".log", Names{"shop", "web-0", "nginx"}, true},
		{"web-0_shop_side-car-" + id + ".log", Names{"shop", "web-0", "side-car"}, true},
		{"web-0_shop-" + id + ".log", Names{}, false},
		{"web-0_shop_nginx-" + id, Names{}, false},
		{"-" + id + ".log", Names{}, false},
		{"x.log", Names{}, false},
		{"", Names{}, false},
	}
	for _, test := range tests {
		got, names, ok := parseLink(test.name)
		if ok != test.ok || names != test.want || ok && got != id {
			t.Errorf("%q gives %q, %+v, %v", test.name, got, names, ok)
		}
	}
}

func TestLookup(t *testing.T) {
	root := t.TempDir()
	directory := New(root)
	if directory.Present() {
		t.Error("an empty directory has logs")
	}
	now := time.Now()
	directory.Refresh(now, time.Second)
	if names, complete := directory.Lookup(id, uid); complete || names != (Names{}) {
		t.Errorf("%+v, %v", names, complete)
	}
	make := func(path ...string) {
		if err := os.MkdirAll(filepath.Join(append([]string{root}, path...)...), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	make("pods", "shop_web-0_"+uid)
	make("containers")
	directory.Refresh(now.Add(time.Millisecond), time.Second)
	if names, _ := directory.Lookup(id, uid); names != (Names{}) {
		t.Error("the directory was read again within the interval")
	}
	now = now.Add(time.Second)
	directory.Refresh(now, time.Second)
	if names, complete := directory.Lookup(id, uid); complete || names != (Names{"shop", "web-0", ""}) {
		t.Errorf("%+v, %v", names, complete)
	}
	// A link whose target is gone names its container all the same.
	if err := os.Symlink("/nowhere", filepath.Join(root, "containers", "web-0_shop_nginx-"+id+".log")); err != nil {
		t.Fatal(err)
	}
	directory.Refresh(now.Add(time.Second), time.Second)
	if names, complete := directory.Lookup(id, uid); !complete || names != (Names{"shop", "web-0", "nginx"}) {
		t.Errorf("%+v, %v", names, complete)
	}
	if !directory.Present() {
		t.Error("the logs are not seen")
	}
}
