package cgroup

import "testing"

const (
	id    = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	uid   = "2c9d0b1e-aaaa-bbbb-cccc-0123456789ab"
	hash  = "0123456789abcdef0123456789abcdef"
	lower = "2c9d0b1e_aaaa_bbbb_cccc_0123456789ab"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		path string
		want Place
	}{
		{"root", "/", Place{}},
		{"service", "/system.slice/sshd.service", Place{}},
		{"cgroupfs", "/kubepods/burstable/pod" + uid + "/" + id, Place{id, uid}},
		{"cgroupfs guaranteed", "/kubepods/pod" + uid + "/" + id, Place{id, uid}},
		{"cgroupfs below a node", "/x/worker1/kubepods/besteffort/pod" + uid + "/" + id, Place{id, uid}},
		{"static pod", "/kubepods/burstable/pod" + hash + "/" + id, Place{id, hash}},
		{"containerd with systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + lower + ".slice/cri-containerd-" + id + ".scope", Place{id, uid}},
		{"cri-o", "/kubepods.slice/kubepods-pod" + lower + ".slice/crio-" + id + ".scope", Place{id, uid}},
		{"cri-o's container in its scope", "/kubepods.slice/kubepods-pod" + lower + ".slice/crio-" + id + ".scope/container", Place{id, uid}},
		{"cri-o's monitor", "/kubepods.slice/kubepods-pod" + lower + ".slice/crio-conmon-" + id + ".scope", Place{"", uid}},
		{"docker with systemd", "/system.slice/docker-" + id + ".scope", Place{id, ""}},
		{"docker", "/docker/" + id, Place{id, ""}},
		{"colons", "/system.slice/containerd.service/kubepods-pod" + lower + ".slice:cri-containerd:" + id, Place{id, uid}},
		{"kind", "/system.slice/docker-" + other + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + lower + ".slice/cri-containerd-" + id + ".scope", Place{id, uid}},
		{"pod only", "/kubepods/burstable/pod" + uid, Place{"", uid}},
		{"inside a container", "/kubepods/pod" + uid + "/" + id + "/system.slice/docker-" + other + ".scope", Place{id, uid}},
		{"upper case is no id", "/docker/" + "ABCDEF" + id[6:], Place{}},
		{"too short", "/docker/" + id[1:], Place{}},
		{"too long", "/docker/0" + id, Place{}},
		{"a directory called pods", "/kubepods/podcasts/" + id, Place{id, ""}},
		{"cut", ".../pod" + uid + "/" + id, Place{id, uid}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Parse(test.path); got != test.want {
				t.Errorf("%+v instead of %+v", got, test.want)
			}
		})
	}
}

func TestNodeRoot(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/", ""},
		{"/user.slice/session-1.scope", ""},
		{"/kubepods/burstable/pod" + uid + "/" + id, ""},
		{"/kubepods.slice/kubepods-pod" + lower + ".slice/crio-" + id + ".scope", ""},
		{"/x/worker1/kubepods/pod" + uid + "/" + id, "/x/worker1"},
		{"/system.slice/docker-" + other + ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + lower + ".slice/cri-containerd-" + id + ".scope", "/system.slice/docker-" + other + ".scope"},
		{"/node/a.slice/a-b.slice/a-b-kubepods.slice/x", "/node"},
	}
	for _, test := range tests {
		if got := NodeRoot(test.path); got != test.want {
			t.Errorf("%s gives %q instead of %q", test.path, got, test.want)
		}
	}
}

func TestBelow(t *testing.T) {
	tests := []struct {
		path, root string
		want       bool
	}{
		{"/anything", "", true},
		{"/", "", true},
		{"/n/worker1", "/n/worker1", true},
		{"/n/worker1/kubepods", "/n/worker1", true},
		{"/n/worker10/kubepods", "/n/worker1", false},
		{"/", "/n/worker1", false},
	}
	for _, test := range tests {
		if got := Below(test.path, test.root); got != test.want {
			t.Errorf("%s below %q: %v", test.path, test.root, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/kubepods/pod" + uid + "/" + id)
	f.Add("/a.slice/a-kubepods.slice/x")
	f.Fuzz(func(t *testing.T, path string) {
		place := Parse(path)
		if place.Container != "" && len(place.Container) != containerIDLength {
			t.Errorf("container %q", place.Container)
		}
		if root := NodeRoot(path); root != "" && root[0] != '/' {
			t.Errorf("root %q", root)
		}
	})
}
