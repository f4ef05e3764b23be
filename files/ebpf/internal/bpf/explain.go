package bpf

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	kernelTypes   = "/sys/kernel/btf/vmlinux"
	capSysAdmin   = 21
	capPerfmon    = 38
	capBPF        = 39
	oldestMajor   = 5
	oldestMinor   = 8
	unchargedFrom = 11
)

// checkKernel tells beforehand what would otherwise fail without a reason.
func checkKernel() error {
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	if older(release, oldestMajor, oldestMinor) {
		return fmt.Errorf("kernel %s is too old: the ring buffer needs Linux %d.%d or newer; update the node's kernel or keep the collector off this node", release, oldestMajor, oldestMinor)
	}
	if missing := missingCapabilities(); missing != "" {
		return fmt.Errorf("missing capability %s: add it to securityContext.capabilities.add of the container (it runs as user 0)", missing)
	}
	if _, err := os.Stat(kernelTypes); err != nil {
		return fmt.Errorf("the kernel does not describe its types (%s is absent): it needs CONFIG_DEBUG_INFO_BTF=y", kernelTypes)
	}
	return nil
}

// explain adds the likely cause to an error of the loader.
func explain(what string, err error) error {
	hint := ""
	switch release, _ := kernelRelease(); {
	case errors.Is(err, unix.EPERM) && older(release, oldestMajor, unchargedFrom):
		hint = "; kernels before 5.11 charge eBPF memory to the limit of locked memory: raise it in the container runtime"
	case errors.Is(err, unix.EPERM):
		hint = "; a seccomp profile or a security module forbids bpf(2): allow it for this container"
	case errors.Is(err, unix.ENOMEM):
		hint = "; the container's memory limit leaves no room: raise it or lower ring_bytes"
	}
	return fmt.Errorf("cannot %s: %s%s", what, brief(err), hint)
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("cannot tell the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

func older(release string, major, minor int) bool {
	parts := strings.FieldsFunc(release, func(c rune) bool { return c < '0' || c > '9' })
	if len(parts) < 2 {
		return false
	}
	have, _ := strconv.Atoi(parts[0])
	haveMinor, _ := strconv.Atoi(parts[1])
	return have < major || have == major && haveMinor < minor
}

// missingCapabilities names what the process lacks; SYS_ADMIN includes both.
func missingCapabilities() string {
	effective, ok := effectiveCapabilities()
	if !ok || effective&(1<<capSysAdmin) != 0 {
		return ""
	}
	var missing []string
	if effective&(1<<capBPF) == 0 {
		missing = append(missing, "BPF")
	}
	if effective&(1<<capPerfmon) == 0 {
		missing = append(missing, "PERFMON")
	}
	return strings.Join(missing, " and ")
}

func effectiveCapabilities() (uint64, bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if digits, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
			return set, err == nil
		}
	}
	return 0, false
}
